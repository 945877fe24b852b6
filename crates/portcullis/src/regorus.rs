//! Objects of programs that hold values of the regorus crate. Feature `regorus`.

use crate::error::Error;
use crate::object::Object;

impl Object {
    /// Takes an object from a value of regorus. Cost: a copy.
    ///
    /// # Errors
    ///
    /// As [`Object::from_json`].
    pub fn from_regorus(value: &regorus::Value) -> Result<Self, Error> {
        Self::from_value(value.into())
    }

    /// The object as a value of regorus. Cost: a copy.
    #[must_use]
    pub fn to_regorus(&self) -> regorus::Value {
        self.value().into()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test panics when it fails")]

    use super::*;

    #[test]
    fn objects_come_from_regorus_and_go_there() {
        let text = r#"{"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "web"}, "n": [1, -2.5, 18446744073709551615, null, true]}"#;
        let theirs = regorus::Value::from_json_str(text).unwrap();
        let object = Object::from_regorus(&theirs).unwrap();
        assert_eq!(object.to_json(), serde_json::from_str::<serde_json::Value>(text).unwrap());
        assert_eq!(object.to_regorus(), theirs);
        assert!(Object::from_regorus(&regorus::Value::Undefined).is_err());
    }
}
