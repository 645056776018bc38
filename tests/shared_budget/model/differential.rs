//! The script in Redis and in the model: the same steps at the same times have the same answers.

use redis::{AsyncConnectionConfig, RedisResult};
use zapi_to_ryze::budget::redis::{Reply, SCRIPT};

use super::{super::redis::Redis, lua_redis::LuaRedis};

/// Gives the script another clock and another server than Redis has: the last two arguments.
const PRELUDE: &str = "
local server, run_id, time = redis, table.remove(ARGV), table.remove(ARGV)
local function call(name, ...)
  if name == 'TIME' then
    return { math.floor(time / 1000000), time % 1000000 }
  elseif name == 'INFO' then
    return 'run_id:' .. run_id
  end
  return server.call(name, ...)
end
local redis = { call = call, pcall = call, error_reply = server.error_reply }
";

fn one_of(words: &[&str]) -> String {
    fastrand::choice(words).unwrap().to_string()
}

/// Arguments as a process might write them, and some that none would.
fn arguments(epoch: &str, step: u32) -> Vec<String> {
    let mut arguments = vec![
        one_of(&["take", "take", "take", "keep", "distrust"]),
        one_of(&["a", "b", "c"]),
        if fastrand::u8(0..8) == 0 {
            one_of(&["", "other"])
        } else {
            epoch.to_owned()
        },
        format!("epoch{step}"),
        one_of(&["exact", "exact", "capped", "closed"]),
        one_of(&["0", "0", "0", "1"]),
        one_of(&["0", "0", "1"]),
        one_of(&["3", "8"]),
        "600000".into(),
        one_of(&["0", "3000000"]),
        "76500000".into(),
        "61500000".into(),
        "500000".into(),
        "3000000".into(),
        "500000".into(),
    ];
    if fastrand::u8(0..12) == 0 && arguments[0] == "distrust" {
        arguments[0] = "keep".into();
    }
    let id = || format!("a-{}", fastrand::u8(0..40));
    let returned = fastrand::usize(0..3);
    arguments.push(returned.to_string());
    arguments.extend((0..returned).map(|_| id()));
    for _ in 0..fastrand::usize(1..4) {
        arguments.extend([id(), fastrand::u32(0..76_500_000).to_string()]);
    }
    arguments
}

#[tokio::test]
#[ignore = "needs redis-server"]
async fn the_model_answers_as_redis_does() {
    fastrand::seed(11);
    let redis = Redis::start().await;
    let client = redis::Client::open(redis.url()).unwrap();
    let config = AsyncConnectionConfig::new();
    let mut connection = client
        .get_multiplexed_async_connection_with_config(&config)
        .await
        .unwrap();
    let script = format!("{PRELUDE}{SCRIPT}");
    let model = LuaRedis::new();
    let (mut time, mut run, mut epoch) = (1_700_000_000_000_000_i64, 1, String::new());
    let mut words = std::collections::BTreeMap::new();
    for step in 0..4_000 {
        time += match fastrand::u8(0..60) {
            0 => fastrand::i64(-80_000_000..80_000_000),
            1..20 => fastrand::i64(0..20_000_000),
            _ => fastrand::i64(0..700_000),
        };
        if fastrand::u8(0..200) == 0 {
            run += 1;
        }
        let arguments = arguments(&epoch, step);
        let run_id = format!("run{run}");
        let mut command = redis::cmd("EVAL");
        command.arg(&script).arg(1).arg("key").arg(&arguments);
        command.arg(time).arg(&run_id);
        let real: RedisResult<Reply> = command.query_async(&mut connection).await;
        {
            let mut database = model.database();
            (database.time, database.run_id) = (time, run_id);
        }
        let modelled = model.eval("key", &arguments);
        let real = real.unwrap();
        assert_eq!(Ok(&real), modelled.as_ref(), "step {step}: {arguments:?}");
        epoch.clone_from(&real.1);
        *words.entry(real.0).or_insert(0) += 1;
    }
    println!("{words:?}");
    assert!(
        words.len() == 5 && words.values().all(|count| *count > 20),
        "{words:?}"
    );
}
