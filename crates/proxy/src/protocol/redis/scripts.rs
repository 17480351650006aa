//! Commands about scripts and functions, and those that run without keys.

use redis_proto::command::{Command, Flags, Scripts};
use redis_proto::encode;

use super::refusal::refuse;
use super::request::Request;
use super::state::Redis;
use crate::protocol::decision::{AdminStep, DecisionOutput, JoinKind, Route};
use crate::script_memory::read_digest;
use crate::settings::KeylessScripts;

/// Why scripts are refused without `allow_scripts`.
pub(super) const NO_SCRIPTS: &str = "scripts may do what is refused to clients, such as FLUSHALL; to allow them set allow_scripts: true in the pool";

/// Why libraries are not replaced as a whole without `admin_commands`.
const NO_ADMINISTRATION: &str =
    "it removes the functions of all clients; to allow it set admin_commands: true in the pool";

impl Redis {
    pub(super) fn route_scripts(
        &self,
        command: &'static Command,
        asked: Scripts,
        request: &Request<'_>,
        output: &mut DecisionOutput,
    ) -> Route {
        let (allow_scripts, admin) = (self.settings.allow_scripts, self.settings.admin_commands);
        let join = match asked {
            Scripts::Load | Scripts::LoadLibrary if !allow_scripts => {
                return refuse(command, NO_SCRIPTS, output);
            }
            Scripts::FlushLibraries | Scripts::RestoreLibraries if !admin => {
                return refuse(command, NO_ADMINISTRATION, output);
            }
            // A barrier, like all that goes over other connections than what was sent before.
            Scripts::Kill if !request.is_idle => return Route::WhenIdle,
            Scripts::Kill => {
                let join = JoinKind::One;
                return Route::Admin(AdminStep::Interrupt { join });
            }
            // They are the same at every server.
            Scripts::DumpLibraries => return Route::Placeholder,
            Scripts::Show => JoinKind::One,
            Scripts::Exist => JoinKind::All,
            Scripts::ListLibraries => JoinKind::Common,
            Scripts::LibraryStatistics => JoinKind::Running,
            Scripts::Load => {
                if let Some(body) = word(request, 2) {
                    self.plan.scripts.load(body);
                }
                JoinKind::Same
            }
            Scripts::Flush => {
                self.plan.scripts.clear();
                JoinKind::Same
            }
            Scripts::LoadLibrary
            | Scripts::DeleteLibrary
            | Scripts::FlushLibraries
            | Scripts::RestoreLibraries => JoinKind::Same,
        };
        Route::Broadcast { join }
    }

    /// The route of a script or function that names no key, so that nothing tells at which server it is to run.
    pub(super) fn route_keyless(
        &self,
        command: &'static Command,
        request: &Request<'_>,
        output: &mut DecisionOutput,
    ) -> Route {
        if self.has_one_server() || self.settings.keyless_scripts == KeylessScripts::Any {
            self.remember_script(command, request, output);
            return Route::Placeholder;
        }
        let name = command.name;
        let error = format!(
            "ERR '{name}' without keys: no key tells which of the pool's servers is to run it; name a key that it uses or, if it uses no data, set keyless_scripts: any in the pool"
        );
        encode::error(&mut output.reply, &error);
        Route::Local
    }

    /// Remembers the script that EVAL executes, and finds the one that EVALSHA calls. Other commands have none.
    pub(super) fn remember_script(
        &self,
        command: &Command,
        request: &Request<'_>,
        output: &mut DecisionOutput,
    ) {
        if !command.flags.contains(Flags::SCRIPT) {
            return;
        }
        match (command.name, word(request, 1)) {
            ("eval" | "eval_ro", Some(body)) => self.plan.scripts.execute(body),
            ("evalsha" | "evalsha_ro", Some(digest)) => {
                let digest = read_digest(digest);
                output.script = digest.and_then(|digest| self.plan.scripts.find(&digest));
            }
            _ => {}
        }
    }
}

/// An argument, unless it is so long that it was collected outside the text.
fn word<'a>(request: &Request<'a>, index: usize) -> Option<&'a [u8]> {
    request.args.get(index)?.bytes(request.text)
}
