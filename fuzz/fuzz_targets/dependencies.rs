#![no_main]

#[allow(dead_code, reason = "each target uses its part")]
#[path = "../../tests/corpus/properties.rs"]
mod properties;

use lockkeeper::domain;

libfuzzer_sys::fuzz_target!(|input: &[u8]| properties::dependencies(input));
