//! Lays the layers over one another, with [`config`].
//!
//! Tables merge key by key, anything else is replaced whole, and the later layer wins. `config` keeps the origin of
//! every value but of a merged table, splits a key at the top at its dots, and has no kind for dates. So a table
//! goes through it as two entries, the place where it stands and the keys in it, neither of which it splits.
//!
//! [`config::Environment`] is no source of ours: the origin of its values does not name the variable.

use config::{Config, ConfigBuilder, ConfigError, Map, Source, Value, ValueKind, builder::DefaultState};

use super::{
    problems::Origin,
    written::{Raw, Written},
};

/// The entry of a table whose origin is that of the table.
const PLACE: &str = "place";
/// The entry of a table that has its keys.
const KEYS: &str = "keys";

/// All layers in one. Each is a table.
pub(super) fn merge(layers: impl IntoIterator<Item = Written>) -> Written {
    let builder = layers.into_iter().fold(Config::builder(), ConfigBuilder::<DefaultState>::add_source);
    let merged = builder.build().expect("a layer is a table that is at hand: to collect it cannot fail");
    unpack(merged.cache)
}

impl Source for Written {
    fn clone_into_box(&self) -> Box<dyn Source + Send + Sync> {
        Box::new(self.clone())
    }

    fn collect(&self) -> Result<Map<String, Value>, ConfigError> {
        pack(self).into_table()
    }
}

fn pack(written: &Written) -> Value {
    let origin = written.origin.to_string();
    let kind = match &written.raw {
        Raw::Text(text) | Raw::Loose(text) => ValueKind::String(text.clone()),
        Raw::Integer(number) => ValueKind::I64(*number),
        Raw::Boolean(flag) => ValueKind::Boolean(*flag),
        Raw::List(items) => ValueKind::Array(items.iter().map(pack).collect()),
        Raw::Table(table) => {
            let place = Value::new(Some(&origin), ValueKind::Nil);
            let keys: Map<String, Value> =
                table.iter().map(|(key, value)| (key.clone(), pack(value))).collect();
            ValueKind::Table(Map::from([(PLACE.into(), place), (KEYS.into(), keys.into())]))
        }
        // No list has nothing as its first item.
        Raw::Other(text) => ValueKind::Array(vec![Value::default(), text.clone().into()]),
    };
    Value::new(Some(&origin), kind)
}

fn unpack(value: Value) -> Written {
    let origin = origin_of(&value);
    let raw = match value.kind {
        // Only an environment variable has no lines.
        ValueKind::String(text) if origin.line.is_none() => Raw::Loose(text),
        ValueKind::String(text) => Raw::Text(text),
        ValueKind::I64(number) => Raw::Integer(number),
        ValueKind::Boolean(flag) => Raw::Boolean(flag),
        ValueKind::Array(items) => match items.as_slice() {
            [Value { kind: ValueKind::Nil, .. }, text] => Raw::Other(text.kind.to_string()),
            _ => Raw::List(items.into_iter().map(unpack).collect()),
        },
        ValueKind::Table(table) => return unpack_table(table),
        other @ (ValueKind::Nil
        | ValueKind::I128(_)
        | ValueKind::U64(_)
        | ValueKind::U128(_)
        | ValueKind::Float(_)) => Raw::Other(other.to_string()),
    };
    Written::new(origin, raw)
}

/// Without any layer, the table has neither of its two entries.
fn unpack_table(mut table: Map<String, Value>) -> Written {
    let origin = origin_of(&table.remove(PLACE).unwrap_or_default());
    let keys = table.remove(KEYS).and_then(|keys| keys.into_table().ok()).unwrap_or_default();
    Written::new(origin, Raw::Table(keys.into_iter().map(|(key, value)| (key, unpack(value))).collect()))
}

fn origin_of(value: &Value) -> Origin {
    value.origin().map_or_else(|| Origin::new("settings"), Origin::read)
}

#[cfg(test)]
mod tests {
    use super::{super::written::from_toml, *};
    use crate::settings::problems::Complaints;

    fn read(source: &str, text: &str) -> Written {
        from_toml(source, text, &Complaints::default()).expect("valid TOML")
    }

    fn variable(path: &[&str]) -> Written {
        Written::at_path(path, Written::new(Origin::new("VARIABLE"), Raw::Loose("x".into())))
    }

    fn at(it: &Written, path: &[&str]) -> String {
        it.find(path).expect("there").origin.to_string()
    }

    #[test]
    fn a_later_layer_wins_key_by_key_and_lists_are_replaced_whole() {
        let below = read("f.toml", "[a]\nx = 1\ny = 2\nl = [1, 2]");
        let it = merge([below, read("g.toml", "[a]\ny = 3\nl = [4]")]);
        assert_eq!(it.find(&["a", "x"]).expect("there").raw, Raw::Integer(1));
        assert_eq!(it.find(&["a", "y"]).expect("there").raw, Raw::Integer(3));
        let Raw::List(items) = &it.find(&["a", "l"]).expect("there").raw else { panic!("a list") };
        assert_eq!(items.len(), 1);
    }

    #[test]
    fn every_value_and_table_tells_the_layer_and_line_that_won() {
        let below = read("f.toml", "[a]\nx = 1\ny = 2\n[b]\nz = 1\n[[c]]\nz = 1");
        let it = merge([below, read("g.toml", "\n\n[a]\ny = 3"), variable(&["c", "0", "z"])]);
        assert_eq!(
            [at(&it, &["a"]), at(&it, &["a", "x"]), at(&it, &["a", "y"])],
            ["g.toml:3", "f.toml:2", "g.toml:4"]
        );
        assert_eq!(
            [at(&it, &["b"]), at(&it, &["c"]), at(&it, &["c", "0", "z"])],
            ["f.toml:4", "VARIABLE", "VARIABLE"]
        );
    }

    #[test]
    fn a_table_and_a_value_replace_each_other() {
        let (table, value) = (read("f.toml", "[a]\nx = 1"), read("g.toml", "a = 2024-01-01"));
        assert_eq!(merge([table.clone(), value.clone()]), value);
        assert_eq!(merge([value, table.clone()]), table);
        let list = read("g.toml", "a = [1]");
        assert_eq!(merge([list.clone(), table.clone()]), table);
        let empty = read("g.toml", "[a]");
        assert_eq!(merge([list, empty.clone()]), empty);
    }

    #[test]
    fn what_nothing_is_laid_over_stays_as_it_was_written() {
        let document = read(
            "f: 1.toml",
            "'a.b' = 1\n'c[0]' = 'x'\nCase = true\n'' = 1.50\nplace = 'p'\nkeys = { place = 1, 'x.y' = [] }\n\
             big = 99999999999999999999\ndate = 2024-01-01\nlist = [1.0, [], ['', 1979-05-27], { 'd.e' = {} }]",
        );
        assert_eq!(merge([document.clone()]), document);
        assert_eq!(merge([variable(&["a.b", "c[0]"])]), variable(&["a.b", "c[0]"]));
    }

    #[test]
    fn no_layer_at_all_is_an_empty_table() {
        assert_eq!(merge([]).raw, Raw::Table(super::super::written::Table::new()));
    }
}
