//! What the crate offers to others, as a snapshot: a change of it is seen in review, and not by those who
//! link the engine.
//!
//! Read from the sources and not from the compiler's documentation, whose form is another with each compiler.
//! `cargo insta review`, or `INSTA_UPDATE=always`, takes a change.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test panics when it fails")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use syn::{Attribute, Fields, File, ImplItem, Item, ItemUse, TraitItem, UseTree, Visibility, parse_quote};

/// The parsed files of a crate by the path of their module.
struct Sources(BTreeMap<Vec<String>, File>);

impl Sources {
    fn read(root: &Path) -> Self {
        let mut files = Vec::new();
        find(root, &mut files);
        let module = |file: &PathBuf| {
            let path = file.strip_prefix(root).unwrap().with_extension("");
            let mut parts: Vec<String> = path.iter().map(|part| part.to_str().unwrap().to_owned()).collect();
            if matches!(parts.last().map(String::as_str), Some("mod" | "lib")) {
                parts.pop();
            }
            parts
        };
        let parse = |file: &PathBuf| syn::parse_file(&fs::read_to_string(file).unwrap()).unwrap();
        Self(files.iter().map(|file| (module(file), parse(file))).collect())
    }

    /// The module that defines what a path leads to, and its name there; `None` if it is of another crate.
    fn resolve(&self, path: &[String]) -> Option<(Vec<String>, String)> {
        let (name, module) = path.split_last()?;
        let file = self.0.get(module)?;
        let defines = |item: &Item| ident(item).is_some_and(|ident| ident == *name);
        if file.items.iter().any(defines) {
            return Some((module.to_vec(), name.clone()));
        }
        let uses =
            file.items.iter().filter_map(|item| if let Item::Use(one) = item { Some(one) } else { None });
        let found = uses.flat_map(exports).find(|(local, _)| local == name);
        found.and_then(|(_, path)| self.resolve(&absolute(module, &path)))
    }
}

fn find(directory: &Path, files: &mut Vec<PathBuf>) {
    let mut paths: Vec<_> = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    for path in paths {
        let is_tests = path.file_stem().is_some_and(|stem| stem == "tests");
        if path.is_dir() && !is_tests {
            find(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "rs") && !is_tests {
            files.push(path);
        }
    }
}

fn ident(item: &Item) -> Option<String> {
    let ident = match item {
        Item::Struct(item) => &item.ident,
        Item::Enum(item) => &item.ident,
        Item::Trait(item) => &item.ident,
        Item::Type(item) => &item.ident,
        Item::Fn(item) => &item.sig.ident,
        Item::Const(item) => &item.ident,
        _ => return None,
    };
    Some(ident.to_string())
}

/// The names that a `use` gives, each with the path that it leads to.
fn exports(item: &ItemUse) -> Vec<(String, Vec<String>)> {
    fn walk(tree: &UseTree, path: &[String], found: &mut Vec<(String, Vec<String>)>) {
        let with = |name: String| [path, &[name]].concat();
        match tree {
            UseTree::Path(step) => walk(&step.tree, &with(step.ident.to_string()), found),
            UseTree::Name(name) => found.push((name.ident.to_string(), with(name.ident.to_string()))),
            UseTree::Rename(name) => found.push((name.rename.to_string(), with(name.ident.to_string()))),
            UseTree::Group(group) => group.items.iter().for_each(|tree| walk(tree, path, found)),
            UseTree::Glob(_) => panic!("a glob exports what nobody sees"),
        }
    }
    let mut found = Vec::new();
    walk(&item.tree, &[], &mut found);
    found
}

fn absolute(module: &[String], path: &[String]) -> Vec<String> {
    let mut at = module.to_vec();
    for step in path {
        match step.as_str() {
            "crate" => at.clear(),
            "self" => {}
            "super" => _ = at.pop(),
            name => at.push(name.to_owned()),
        }
    }
    at
}

/// What callers see of attributes.
fn keep(attributes: &mut Vec<Attribute>) {
    let kept = ["cfg", "non_exhaustive", "derive", "deprecated"];
    attributes.retain(|attribute| kept.iter().any(|name| attribute.path().is_ident(name)));
}

fn is_public(visibility: &Visibility) -> bool {
    matches!(visibility, Visibility::Public(_))
}

/// Leaves the public fields, and a mark that there are others.
fn public_fields(fields: &mut Fields) {
    if let Fields::Named(named) = fields {
        let all = named.named.len();
        let kept = named.named.clone().into_iter().filter(|field| is_public(&field.vis));
        named.named = kept.map(|mut field| (keep(&mut field.attrs), field).1).collect();
        if named.named.len() < all {
            named.named.push(parse_quote!(_private: ()));
        }
    } else if let Fields::Unnamed(unnamed) = fields {
        for field in &mut unnamed.unnamed {
            if !is_public(&field.vis) {
                *field = syn::Field { ty: parse_quote!(_), ..field.clone() };
            }
        }
    }
}

/// An item as callers see it.
fn shown(item: &Item) -> Item {
    let mut item = item.clone();
    match &mut item {
        Item::Struct(item) => {
            keep(&mut item.attrs);
            public_fields(&mut item.fields);
        }
        Item::Enum(item) => {
            keep(&mut item.attrs);
            for variant in &mut item.variants {
                keep(&mut variant.attrs);
                variant.fields.iter_mut().for_each(|field| keep(&mut field.attrs));
            }
        }
        Item::Trait(item) => {
            keep(&mut item.attrs);
            for one in &mut item.items {
                if let TraitItem::Fn(method) = one {
                    keep(&mut method.attrs);
                    method.default = method.default.as_ref().map(|_| parse_quote!({}));
                }
            }
        }
        Item::Fn(item) => {
            keep(&mut item.attrs);
            item.block = parse_quote!({});
        }
        Item::Const(item) => keep(&mut item.attrs),
        _ => {}
    }
    item
}

/// What an `impl` gives to callers of its type, if it gives something.
fn given(item: &Item, name: &str) -> Option<Item> {
    let Item::Impl(block) = item else { return None };
    let syn::Type::Path(of) = &*block.self_ty else { return None };
    if of.path.segments.last()?.ident != name || block.attrs.iter().any(is_test) {
        return None;
    }
    let mut block = block.clone();
    keep(&mut block.attrs);
    if block.trait_.is_some() {
        block.items.clear();
        return Some(Item::Impl(block));
    }
    block.items.retain(|item| match item {
        ImplItem::Fn(method) => is_public(&method.vis),
        ImplItem::Const(constant) => is_public(&constant.vis),
        _ => false,
    });
    for item in &mut block.items {
        match item {
            ImplItem::Fn(method) => {
                keep(&mut method.attrs);
                method.block = parse_quote!({});
            }
            ImplItem::Const(constant) => keep(&mut constant.attrs),
            _ => {}
        }
    }
    (!block.items.is_empty()).then_some(Item::Impl(block))
}

fn is_test(attribute: &Attribute) -> bool {
    attribute.path().is_ident("cfg")
        && attribute.parse_args::<syn::Ident>().is_ok_and(|ident| ident == "test")
}

#[test]
fn what_others_may_use_changes_only_on_purpose() {
    let sources = Sources::read(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"));
    let door = &sources.0[&Vec::new()];
    let mut names = BTreeMap::new();
    for item in &door.items {
        match item {
            Item::Use(item) if is_public(&item.vis) => names.extend(exports(item)),
            Item::Use(_) | Item::Mod(_) => {}
            other => panic!("the door defines {:?} itself", ident(other)),
        }
    }
    // Of two types of one name, an `impl` is of the one in whose stage it stands.
    let mut defined: BTreeMap<String, BTreeSet<Option<String>>> = BTreeMap::new();
    for (module, file) in &sources.0 {
        for name in file.items.iter().filter_map(ident) {
            defined.entry(name).or_default().insert(module.first().cloned());
        }
    }
    let mut parts = Vec::new();
    for (name, path) in &names {
        let Some((module, local)) = sources.resolve(path) else {
            parts.push(format!("pub use {}; // as {name}\n\n", path.join("::")));
            continue;
        };
        let items = sources.0[&module].items.iter().filter(|item| ident(item).as_deref() == Some(&local));
        let mut items: Vec<Item> = items.map(shown).collect();
        let is_one = defined[&local].len() == 1;
        for (at, file) in &sources.0 {
            if is_one || at.first() == module.first() {
                items.extend(file.items.iter().filter_map(|item| given(item, &local)));
            }
        }
        let items = File { shebang: None, attrs: Vec::new(), items };
        parts.push(format!("// {name}\n{}\n", prettyplease::unparse(&items)));
    }
    // These a macro defines; the names in reports are an interface as well.
    parts.push("// ErrorKind\n".to_owned());
    let codes = portcullis::ErrorKind::ALL.iter().map(|kind| format!("{kind:?} = {:?}\n", kind.code()));
    parts.extend(codes);
    insta::assert_snapshot!(parts.concat());
}
