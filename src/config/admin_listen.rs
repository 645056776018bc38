//! Where a gateway's admin listener is, read from a file of which all else may be broken.

use std::{net::SocketAddr, path::Path};

use toml::de::DeTable;

use super::{Problem, listeners::ADMIN_LISTEN, load, syntax::Readable};

/// The address in `admin.listen` of the file, or the default where it has none or there is no file. A
/// file that is being edited says this much of the gateway that runs, and needs no secret.
///
/// # Errors
/// The file cannot be read.
pub fn admin_listen(file: Option<&Path>) -> Result<SocketAddr, Problem> {
    let Some(file) = file else {
        return Ok(ADMIN_LISTEN);
    };
    let readable = Readable::new(&load::read(file)?);
    let (root, _) = DeTable::parse_recoverable(&readable.text);
    let written = || {
        let admin = root.get_ref().get("admin")?.get_ref().as_table()?;
        admin.get("listen")?.get_ref().as_str()?.parse().ok()
    };
    Ok(written().unwrap_or(ADMIN_LISTEN))
}
