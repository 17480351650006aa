//! The list of users of a pool.

use proxy::acl::{AclProblem, Digest, MAX_PASSWORDS, digest};
use proxy::limits::{MAX_USER_NAME, MAX_USERS};

use super::fields::{Fields, Items};
use super::kind::Kind;
use super::node::{Content, Node};
use super::report::{Findings, Position, Problem};
use super::types::UserLine;

/// What a user may say of itself.
pub(super) const KEYS: [&str; 3] = ["name", "password_sha256", "acl"];

const ITEMS: Items = Items {
    noun: "user",
    keys: &KEYS,
    kind: Kind::Users,
    most: MAX_USERS,
};

/// Reads the users of `owner` ("pool `alpha`"); `None` if anything is wrong with them, which has been reported.
pub(super) fn read_users(
    list: &Node,
    items: &[Node],
    owner: &str,
    findings: &mut Findings,
) -> Option<Vec<UserLine>> {
    let name = |line: &UserLine| format!("`{}`", line.name);
    ITEMS.read((list, items), owner, findings, read_user, name)
}

fn read_user(fields: &Fields<'_>, findings: &mut Findings) -> Option<UserLine> {
    let mut note = |problem: Problem| findings.problems.push(problem);
    let name = name(fields).map_err(&mut note).ok();
    let passwords = passwords(fields).map_err(&mut note).ok();
    let rules = fields.text("acl").map_err(&mut note).ok();
    Some(UserLine {
        name: name?,
        passwords: passwords?,
        rules: rules?.unwrap_or_default().into(),
        position: fields.position("acl").clone(),
    })
}

fn name(fields: &Fields<'_>) -> Result<Box<str>, Problem> {
    let name = fields.text("name")?.ok_or_else(|| fields.missing("name"))?;
    let is_valid = name.len() <= MAX_USER_NAME && name.bytes().all(|byte| byte.is_ascii_graphic());
    match is_valid {
        true => Ok(name.into()),
        false => {
            let help = format!("expected at most {MAX_USER_NAME} ASCII characters without blanks");
            Err(fields.cannot_be("name", name, help))
        }
    }
}

/// The digests of its passwords: one, or a list. None of them is ever shown.
fn passwords(fields: &Fields<'_>) -> Result<Vec<Digest>, Problem> {
    const KEY: &str = "password_sha256";
    let wrong = |position: &Position| {
        let message = format!("`{KEY}` of a user must be 64 hexadecimal digits, or a list of that");
        Problem::at(position, message).help(AclProblem::Digest.help())
    };
    let one = |node: &Node| match &node.content {
        Content::Text(text) => digest(text).map_err(|_| wrong(&node.position)),
        _ => Err(wrong(&node.position)),
    };
    match fields.value(KEY) {
        None => Ok(Vec::new()),
        Some(node) => match &node.content {
            Content::List(items) if items.len() > MAX_PASSWORDS => {
                let help = format!("a user has at most {MAX_PASSWORDS} passwords");
                Err(wrong(&node.position).help(help))
            }
            Content::List(items) => items.iter().map(one).collect(),
            _ => Ok(vec![one(node)?]),
        },
    }
}
