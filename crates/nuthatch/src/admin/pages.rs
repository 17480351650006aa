//! From a request to a page.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use hyper::body::Body;
use hyper::header::{self, HeaderName, HeaderValue};
use hyper::{Method, Request, Response, StatusCode};
use tokio::task::spawn_blocking;

use proxy::limits::{LARGEST_KEYS, SLOW_REQUESTS};

use super::guard::Guard;
use super::view::{Readiness, View};
use super::{explain, exposition, json, metrics};
use crate::clients::{self, Asked};
use crate::controller::Controller;
use crate::{hot_keys, slow_log};

const TEXT: &str = "text/plain; charset=utf-8";
const JSON: &str = "application/json";

/// Clients, or groups of them, that are shown at most.
const CLIENTS_SHOWN: usize = 1_000;

/// How long it may take to ask for them.
const CLIENTS_WITHIN: Duration = Duration::from_secs(10);

/// The dashboard: what is loaded by it is served here, too, so that it works without any other site.
const INDEX: &str = include_str!("dashboard/index.html");
const SCRIPT: &str = include_str!("dashboard/app.js");
const STYLE: &str = include_str!("dashboard/style.css");
const ICON: &str = include_str!("dashboard/icon.svg");

/// What every answer says: nothing but what is served here may run or be loaded, no other site may frame or read it, and
/// nobody keeps it.
const ALWAYS: [(HeaderName, &str); 7] = [
    (
        header::CONTENT_SECURITY_POLICY,
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; base-uri 'none'; \
         form-action 'none'; frame-ancestors 'none'",
    ),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::X_FRAME_OPTIONS, "DENY"),
    (header::REFERRER_POLICY, "no-referrer"),
    (
        HeaderName::from_static("cross-origin-resource-policy"),
        "same-origin",
    ),
    (
        HeaderName::from_static("cross-origin-opener-policy"),
        "same-origin",
    ),
    (header::CACHE_CONTROL, "no-store"),
];

/// The pages, and who may see them.
#[derive(Debug)]
pub(super) struct Pages {
    guard: Guard,
    view: Arc<View>,
    controller: Controller,
}

/// An answer without the headers that all have.
struct Page {
    status: StatusCode,
    content_type: &'static str,
    body: String,
    header: Option<(HeaderName, &'static str)>,
}

impl Pages {
    pub(super) fn new(guard: Guard, view: Arc<View>, controller: Controller) -> Self {
        Self {
            guard,
            view,
            controller,
        }
    }

    /// Answers a request on a connection that was made to `local`.
    pub(super) async fn answer<B: Body>(
        &self,
        request: &Request<B>,
        local: SocketAddr,
    ) -> Response<String> {
        let (path, query) = (request.uri().path(), request.uri().query());
        let page = match self.refusal(request, local) {
            Some(refusal) => refusal,
            None if path == "/clients" => self.clients(query).await,
            None => self.page(path, query),
        };
        page.response()
    }

    /// The clients. The workers are asked, on another thread, as this one must not wait for them.
    async fn clients(&self, query: Option<&str>) -> Page {
        let asked = Asked {
            pool: None,
            count: Some(CLIENTS_SHOWN),
            by_name: query == Some("by=name"),
        };
        let controller = self.controller.clone();
        let shown = spawn_blocking(move || {
            let shown = controller.ask(CLIENTS_WITHIN, move |live| clients::show(live, &asked));
            shown.ok()?.ok()
        });
        match shown.await {
            Ok(Some((_, json))) => Page::of(JSON, json.to_string()),
            _ => Page::text(StatusCode::SERVICE_UNAVAILABLE, "the proxy is busy\n"),
        }
    }

    /// Why a request is refused, if it is.
    fn refusal<B: Body>(&self, request: &Request<B>, local: SocketAddr) -> Option<Page> {
        if !self.guard.is_for_us(request, local) {
            return Some(Page::text(
                StatusCode::MISDIRECTED_REQUEST,
                "the Host of the request is no name of this server; the setting `admin_hosts` adds names\n",
            ));
        }
        if ![Method::GET, Method::HEAD].contains(request.method()) {
            let page = Page::text(
                StatusCode::METHOD_NOT_ALLOWED,
                "only GET and HEAD are served\n",
            );
            return Some(page.with(header::ALLOW, "GET, HEAD"));
        }
        if !request.body().is_end_stream() {
            let page = Page::text(StatusCode::BAD_REQUEST, "a request has no body here\n");
            return Some(page.with(header::CONNECTION, "close"));
        }
        let is_open = ["/healthz", "/readyz"].contains(&request.uri().path());
        if !is_open && !self.guard.has_token(request) {
            let page = Page::text(
                StatusCode::UNAUTHORIZED,
                "the setting `admin_token` asks for a token: `Authorization: Bearer TOKEN`, or the password \
                 of the user `admin`\n",
            );
            let how = "Basic realm=\"nuthatch\", charset=\"UTF-8\"";
            return Some(page.with(header::WWW_AUTHENTICATE, how));
        }
        None
    }

    fn page(&self, path: &str, query: Option<&str>) -> Page {
        match path {
            "/" => Page::of("text/html; charset=utf-8", INDEX.into()),
            "/app.js" => Page::of("text/javascript; charset=utf-8", SCRIPT.into()),
            "/style.css" => Page::of("text/css; charset=utf-8", STYLE.into()),
            "/icon.svg" => Page::of("image/svg+xml", ICON.into()),
            "/healthz" => Page::text(StatusCode::OK, "ok\n"),
            "/readyz" => self.readiness(),
            "/metrics" => {
                let with_aliases = query != Some("aliases=none");
                let body = metrics::page(&self.view, with_aliases);
                Page::of(exposition::CONTENT_TYPE, body)
            }
            "/servers" => Page::of(JSON, json::servers(&self.view).to_string()),
            "/history" => Page::of(JSON, self.history(query)),
            "/slowlog" => {
                let pools = &self.view.in_force().pools;
                let latest = slow_log::latest(pools, SLOW_REQUESTS);
                Page::of(JSON, slow_log::json(&latest).to_string())
            }
            "/hotkeys" => {
                let (pools, now) = (&self.view.in_force().pools, self.view.now());
                let known = hot_keys::known(pools, LARGEST_KEYS, now);
                Page::of(JSON, hot_keys::json(&known, now).to_string())
            }
            "/explain" => match explain::page(&self.view, query) {
                Ok(page) => Page::of(JSON, page),
                Err(reason) => Page::text(StatusCode::BAD_REQUEST, &reason),
            },
            "/config" => Page::of(JSON, json::config(&self.view)),
            "/stats" => {
                let document = self.view.source().document();
                Page::of(JSON, String::from_utf8_lossy(&document).into_owned())
            }
            _ => Page::text(
                StatusCode::NOT_FOUND,
                "there is /, /metrics, /healthz, /readyz, /servers, /history, /slowlog, /hotkeys, /clients, /explain, /config and /stats\n",
            ),
        }
    }

    /// The samples after those that the query says are known (`after=N`).
    fn history(&self, query: Option<&str>) -> String {
        let after = query.and_then(|query| query.strip_prefix("after="));
        let after = after.and_then(|number| number.parse().ok()).unwrap_or(0);
        self.view.history().json(after).to_string()
    }

    /// Takes a sample for the history.
    pub(super) fn take_sample(&self, now: Instant) {
        self.view.take_sample(now);
    }

    fn readiness(&self) -> Page {
        let text = match self.view.readiness() {
            Readiness::Ready => return Page::text(StatusCode::OK, "ready\n"),
            Readiness::Stopping => "not ready: the process is ending\n".to_owned(),
            Readiness::NoServers { without, pools } => {
                format!("not ready: {without} of {pools} pools without a live server\n")
            }
        };
        Page::text(StatusCode::SERVICE_UNAVAILABLE, &text)
    }
}

impl Page {
    fn of(content_type: &'static str, body: String) -> Self {
        Self {
            status: StatusCode::OK,
            content_type,
            body,
            header: None,
        }
    }

    fn text(status: StatusCode, text: &str) -> Self {
        Self {
            status,
            ..Self::of(TEXT, text.to_owned())
        }
    }

    fn with(mut self, name: HeaderName, value: &'static str) -> Self {
        self.header = Some((name, value));
        self
    }

    fn response(self) -> Response<String> {
        let mut response = Response::new(self.body);
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        let own = [(header::CONTENT_TYPE, self.content_type)];
        for (name, value) in ALWAYS.into_iter().chain(own).chain(self.header) {
            headers.insert(name, HeaderValue::from_static(value));
        }
        response
    }
}
