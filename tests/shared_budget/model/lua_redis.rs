//! Redis without a network: runs the script of the shared budget in the same Lua, on a sorted set in
//! memory, with a clock and a `run_id` that tests set. `differential.rs` compares it with a real one.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard},
};

use mlua::{Function, Lua, Table, Value, Variadic};
use zapi_to_ryze::budget::redis::{Reply, SCRIPT};

/// The members of a sorted set, the lowest score first, and among equals by name.
type SortedSet = Vec<(f64, String)>;

#[derive(Clone, Debug, Default)]
pub struct Database {
    pub sets: HashMap<String, SortedSet>,
    /// Microseconds since 1970.
    pub time: i64,
    pub run_id: String,
}

pub struct LuaRedis {
    script: Function,
    lua: Lua,
    database: Arc<Mutex<Database>>,
}

impl LuaRedis {
    pub fn new() -> Self {
        let lua = Lua::new();
        let database = Arc::new(Mutex::new(Database::default()));
        let redis = lua.create_table().unwrap();
        for name in ["call", "pcall"] {
            let database = Arc::clone(&database);
            let call = lua.create_function(move |lua, words: Variadic<Value>| {
                database.lock().unwrap().command(lua, &words)
            });
            redis.set(name, call.unwrap()).unwrap();
        }
        let error_reply = lua.create_function(|_, text: String| -> mlua::Result<()> {
            Err(mlua::Error::runtime(text))
        });
        redis.set("error_reply", error_reply.unwrap()).unwrap();
        lua.globals().set("redis", redis).unwrap();
        let script = format!("return function(KEYS, ARGV) {SCRIPT}\nend");
        let script = lua.load(script).eval().unwrap();
        Self {
            script,
            lua,
            database,
        }
    }

    pub fn database(&self) -> MutexGuard<'_, Database> {
        self.database.lock().unwrap()
    }

    pub fn eval(&self, key: &str, arguments: &[String]) -> Result<Reply, String> {
        let keys = self.lua.create_sequence_from([key]).unwrap();
        let arguments = arguments.iter().map(String::as_str);
        let arguments = self.lua.create_sequence_from(arguments).unwrap();
        let reply: Table = self
            .script
            .call((keys, arguments))
            .map_err(|error| error.to_string())?;
        // Redis cuts numbers to whole ones.
        let number = |index| reply.get::<f64>(index).unwrap() as i64;
        Ok((
            reply.get(1).unwrap(),
            reply.get(2).unwrap(),
            number(3),
            number(4),
            number(5),
            number(6),
        ))
    }
}

impl Database {
    fn command(&mut self, lua: &Lua, words: &[Value]) -> mlua::Result<Value> {
        let words: Vec<String> = words.iter().map(text).collect();
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let number = |count: usize| Ok(Value::Number(count as f64));
        match words[..] {
            ["TIME"] => {
                let parts = [self.time / 1_000_000, self.time % 1_000_000].map(|it| it.to_string());
                Ok(Value::Table(lua.create_sequence_from(parts)?))
            }
            ["INFO", "server"] => {
                let info = format!("# Server\r\nrun_id:{}\r\n", self.run_id);
                Ok(Value::String(lua.create_string(info)?))
            }
            ["DEL", key] => number(usize::from(self.sets.remove(key).is_some())),
            ["PEXPIRE", ..] => number(1),
            ["ZADD", key, ref pairs @ ..] => {
                for pair in pairs.chunks(2) {
                    self.remove(key, pair[1]);
                    let score = pair[0].parse().unwrap();
                    self.sets
                        .entry(key.into())
                        .or_default()
                        .push((score, pair[1].into()));
                }
                if let Some(set) = self.sets.get_mut(key) {
                    set.sort_by(|a, b| a.0.total_cmp(&b.0).then_with(|| a.1.cmp(&b.1)));
                }
                number(pairs.len() / 2)
            }
            ["ZREM", key, member] => number(usize::from(self.remove(key, member))),
            ["ZSCORE", key, member] => {
                let set = self.sets.get(key).into_iter().flatten();
                let mut found = set.filter(|(_, name)| name == member);
                found
                    .next()
                    .map_or(Ok(Value::Boolean(false)), |(score, _)| {
                        Ok(Value::String(lua.create_string(score.to_string())?))
                    })
            }
            ["ZCOUNT", key, from, to] => number(self.range(key, from, to).len()),
            ["ZREMRANGEBYSCORE", key, from, to] => {
                let gone = self.range(key, from, to);
                for (_, member) in &gone {
                    self.remove(key, member);
                }
                number(gone.len())
            }
            ["ZRANGEBYSCORE", key, from, to, "WITHSCORES"] => pairs(lua, self.range(key, from, to)),
            [
                "ZRANGEBYSCORE",
                key,
                from,
                to,
                "WITHSCORES",
                "LIMIT",
                offset,
                "1",
            ] => {
                let offset = offset.parse().unwrap();
                let found = self.range(key, from, to).into_iter().skip(offset).take(1);
                pairs(lua, found.collect())
            }
            _ => panic!("not a command of the model: {words:?}"),
        }
    }

    fn remove(&mut self, key: &str, member: &str) -> bool {
        let Some(set) = self.sets.get_mut(key) else {
            return false;
        };
        let before = set.len();
        set.retain(|(_, name)| name != member);
        let is_removed = set.len() < before;
        if set.is_empty() {
            self.sets.remove(key);
        }
        is_removed
    }

    fn range(&self, key: &str, from: &str, to: &str) -> SortedSet {
        let bound = |written: &str| {
            let number = written.trim_start_matches('(');
            (number.parse::<f64>().unwrap(), number != written)
        };
        let ((low, is_above), (high, is_below)) = (bound(from), bound(to));
        let set = self.sets.get(key).into_iter().flatten();
        set.filter(|(score, _)| {
            let is_low_enough = if is_below {
                *score < high
            } else {
                *score <= high
            };
            let is_high_enough = if is_above {
                *score > low
            } else {
                *score >= low
            };
            is_low_enough && is_high_enough
        })
        .cloned()
        .collect()
    }
}

/// A word of a command, a number as Redis writes it.
fn text(word: &Value) -> String {
    match word {
        Value::Number(number) => number.to_string(),
        Value::Integer(number) => number.to_string(),
        word => word.to_string().unwrap(),
    }
}

fn pairs(lua: &Lua, found: SortedSet) -> mlua::Result<Value> {
    let words = found
        .into_iter()
        .flat_map(|(score, member)| [member, score.to_string()]);
    Ok(Value::Table(lua.create_sequence_from(words)?))
}
