//! Splitting ends without a panic and in bounded memory; every portion size gives the same pieces; no piece
//! is larger than allowed; and every byte is in a piece, between two, or in something that is reported. The
//! first byte says how large both may be.
#![no_main]

use std::io::{BufRead, Read};

use libfuzzer_sys::fuzz_target;
use portcullis_audit::source::{Piece, Splitter};

/// Gives its bytes in portions, however small.
struct Portions<'a>(&'a [u8], usize);

impl Read for Portions<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let length = self.1.min(buffer.len());
        (&self.0[..length.min(self.0.len())]).read(buffer)
    }
}

impl BufRead for Portions<'_> {
    fn fill_buf(&mut self) -> std::io::Result<&[u8]> {
        Ok(&self.0[..self.1.min(self.0.len())])
    }
    fn consume(&mut self, amount: usize) {
        self.0 = &self.0[amount..];
    }
}

fn split(data: &[u8], portion: usize, most: usize) -> Vec<Piece> {
    let mut splitter = Splitter::with_small(Portions(data, portion), "dump", most, 0);
    std::iter::from_fn(|| splitter.next_piece().expect("memory does not fail")).collect()
}

fuzz_target!(|data: &[u8]| {
    let Some((&sizes, data)) = data.split_first() else { return };
    let portion = usize::from(sizes % 16) + 1;
    let most = if sizes < 16 { 1 << 20 } else { usize::from(sizes) };
    let pieces = split(data, usize::MAX, most);
    assert_eq!(pieces, split(data, portion, most), "in portions of {portion}");
    let (mut kept, mut is_whole) = (0, true);
    for piece in &pieces {
        match piece {
            Piece::Text(text) => {
                assert!(text.bytes.len() <= most);
                kept += text.bytes.iter().filter(|byte| byte.is_ascii_alphanumeric()).count();
            }
            Piece::Bad(_) => is_whole = false,
        }
    }
    // Comments between the documents of a YAML stream are in none.
    if is_whole && !data.contains(&b'#') {
        let there = data.iter().filter(|byte| byte.is_ascii_alphanumeric()).count();
        assert_eq!(kept, there, "{}", String::from_utf8_lossy(data));
    }
});
