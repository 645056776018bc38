//! Maps whose keys come from the configuration: instances' ids and names, and tokens' digests. A client
//! cannot choose a key, so foldhash is enough: the dozen look-ups of a translated call hash in 700
//! instructions, with std's SipHash in 2,900.

use std::collections::HashMap;

pub(crate) type ConfiguredMap<K, V> = HashMap<K, V, foldhash::fast::RandomState>;
