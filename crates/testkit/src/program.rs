//! Programs as their users run them: to their end, with what they say and their exit code.

#![expect(clippy::expect_used, reason = "a panic is how a test says that it fails")]

use std::io::Write as _;
use std::process::{Command, Stdio};

use serde_json::Value;

/// A run of a program to its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Run {
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
    /// The exit code; none if a signal ended it.
    pub code: Option<i32>,
}

impl Run {
    /// Runs a program with some bytes on standard input; `None` is a standard input that is not a stream.
    pub fn of(mut command: Command, stdin: Option<&[u8]>) -> Self {
        command.stdin(if stdin.is_some() { Stdio::piped() } else { Stdio::null() });
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the program");
        // A thread of its own: a program that writes before it has read everything must not be waited for by
        // halves.
        let writer = stdin.and_then(|bytes| {
            let (mut pipe, bytes) = (child.stdin.take()?, bytes.to_vec());
            Some(std::thread::spawn(move || pipe.write_all(&bytes)))
        });
        let output = child.wait_with_output().expect("its output");
        // A program may end before it has read everything.
        drop(writer.map(std::thread::JoinHandle::join));
        Self {
            stdout: String::from_utf8(output.stdout).expect("a text on standard output"),
            stderr: String::from_utf8(output.stderr).expect("a text on standard error"),
            code: output.status.code(),
        }
    }

    /// The same, if it ended with this code.
    #[track_caller]
    #[expect(clippy::return_self_not_must_use, reason = "often the code is all that is asked for")]
    pub fn exits_with(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "stdout:\n{}\nstderr:\n{}", self.stdout, self.stderr);
        self
    }

    /// Standard output as JSON.
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error}: {}", self.stdout))
    }
}
