//! Where commands go that are about all data of the pool, or that only make sense where it has one server.

use redis_proto::command::{Command, Keyspace};
use redis_proto::encode;

use super::client::RedisClient;
use super::request::Request;
use super::scan;
use super::state::Redis;
use crate::protocol::decision::{DecisionOutput, JoinKind, Route};

impl Redis {
    /// The route of a command that is refused where there are several servers.
    pub(super) fn route_to_only_server(
        &self,
        command: &'static Command,
        request: &Request<'_>,
        client: &mut RedisClient,
        output: &mut DecisionOutput,
    ) -> Route {
        match command.single_key() {
            Some(_) => self.route_forward(command, request, client, output),
            None => Route::Placeholder,
        }
    }

    /// The route of a command about all keys.
    pub(super) fn route_keyspace(
        &self,
        asked: Keyspace,
        request: &Request<'_>,
        output: &mut DecisionOutput,
    ) -> Route {
        let join = match asked {
            Keyspace::Size => JoinKind::Sum,
            Keyspace::Names => JoinKind::Concat,
            Keyspace::Random => JoinKind::Any,
            Keyspace::Scan => {
                let (places, digest) = self.places;
                return scan::route(request, places, digest, output);
            }
        };
        Route::Broadcast { join }
    }

    /// The route of a command that deletes all keys.
    pub(super) fn route_flush(
        &self,
        command: &'static Command,
        output: &mut DecisionOutput,
    ) -> Route {
        if self.allow_flush {
            return Route::Broadcast { join: JoinKind::Ok };
        }
        let name = command.name.to_ascii_uppercase();
        let what = match self.has_one_server() {
            true => "data of all clients",
            false => "the data of every server of the pool",
        };
        let error =
            format!("ERR {name} destroys {what}; to allow it set allow_flush: true in the pool");
        encode::error(&mut output.reply, &error);
        Route::Local
    }
}
