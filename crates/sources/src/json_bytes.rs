use std::io;

use serde::Serialize;

/// How many bytes something takes as JSON; what has no such form takes none. Nothing is kept of it.
pub fn json_bytes(value: &impl Serialize) -> usize {
    struct Count(usize);
    impl io::Write for Count {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0 += bytes.len();
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let mut count = Count(0);
    // A counter takes everything.
    let _ = serde_json::to_writer(&mut count, value);
    count.0
}
