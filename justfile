# The commands of this repository. `just --list` shows them.

# Format, clippy with warnings as errors.
lint:
    cargo fmt --all -- --check
    cargo clippy --all-targets --locked -- -D warnings

# The tests that need only Rust and a C compiler.
test *ARGUMENTS:
    cargo test --locked {{ARGUMENTS}}

# All tests.
test-all *ARGUMENTS:
    tests/run {{ARGUMENTS}}

# Rewrites the tables in docs/ that tests check.
docs:
    UPDATE_DOCS=1 cargo test --locked --test tests -- compatibility:: configuration::

# CPU, system calls and memory beside nginx, then the benchmarks without I/O.
bench:
    benches/load/run
    cargo bench --locked

# A busy gateway under observation; MINUTES is how long.
soak MINUTES="5":
    benches/soak/run --minutes {{MINUTES}}

# What a release consists of, for this machine, into target/dist.
package:
    profile=$(packaging/profile) && packaging/build --profile "$profile"

# Everything that must hold before a change is merged.
check:
    .ci/run
