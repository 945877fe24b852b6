//! How much a module of WebAssembly may take: its stack, and all of its memory.

use std::env;

/// Bytes of stack. Policies and objects are read and evaluated to bounded depths, which fit with room to spare.
const STACK: u64 = 4 << 20;
/// Bytes of memory that a module may grow to. What needs more ends with a trap, and not with the memory of its host.
const MEMORY: u64 = 1 << 30;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    if env::var("CARGO_CFG_TARGET_FAMILY").is_ok_and(|family| family == "wasm") {
        println!("cargo::rustc-cdylib-link-arg=-zstack-size={STACK}");
        println!("cargo::rustc-cdylib-link-arg=--max-memory={MEMORY}");
    }
}
