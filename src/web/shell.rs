//! What `layout.html` needs to draw the frame around a page.

use super::{
    error::WebError,
    flash::{Flash, Shown},
    routes,
};
use crate::{
    access::{Permission, Role},
    accounts::caller::Waiting,
    accounts::session::Session,
    channels::Channel,
    demo,
    error::Error,
    state::AppState,
};
use axum::{
    extract::FromRequestParts,
    http::{HeaderMap, Uri, request::Parts},
};
use axum_extra::extract::CookieJar;
use std::sync::Arc;

/// Light or dark, as the person chose, else as their system is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Theme {
    Auto,
    Light,
    Dark,
}

/// Name of the cookie that remembers the theme.
pub(super) const THEME_COOKIE: &str = "theme";

impl Theme {
    pub(super) fn of(headers: &HeaderMap) -> Theme {
        match CookieJar::from_headers(headers).get(THEME_COOKIE).map(|it| it.value().to_owned()).as_deref() {
            Some("light") => Theme::Light,
            Some("dark") => Theme::Dark,
            _ => Theme::Auto,
        }
    }

    /// As in the cookie, the form and the page's root.
    pub(super) fn code(self) -> &'static str {
        match self {
            Theme::Auto => "auto",
            Theme::Light => "light",
            Theme::Dark => "dark",
        }
    }
}

/// A group of the navigation.
pub(super) struct NavGroup {
    pub label: &'static str,
    pub icon: &'static str,
    pub items: Vec<NavItem>,
    pub active: bool,
}

impl NavGroup {
    /// The group of one: a plain link, without a heading.
    pub(super) fn is_home(&self) -> bool {
        self.items.iter().all(|it| it.path == "/")
    }
}

/// A link of the navigation.
pub(super) struct NavItem {
    pub label: &'static str,
    pub icon: &'static str,
    pub path: &'static str,
    pub active: bool,
    /// What waits there for a person; 0 is not shown.
    pub waiting: i64,
}

/// The frame around a page.
pub(super) struct Shell {
    /// Whose session it is.
    pub name: String,
    /// Their address.
    pub email: String,
    /// What they may do.
    pub role: Role,
    /// What each form carries in `csrf_token`.
    pub csrf: String,
    /// What to say once.
    pub flash: Option<Flash>,
    /// Light or dark.
    pub theme: Theme,
    /// Email lands in the built-in outbox.
    pub email_is_simulated: bool,
    /// The demo's published password opens this panel.
    pub demo_is_open: bool,
    /// Messages of which nobody knows if they left.
    pub unconfirmed: i64,
    /// What came back and nobody could match.
    pub unmatched: i64,
    /// Tasks of the person at hand for today or before.
    pub tasks: i64,
    /// Path of the page.
    pub path: String,
    /// What was searched for, if this is the page of a search.
    pub query: String,
}

impl Shell {
    /// The frame around the page at `uri`, for the person of `session`. What is to be said once
    /// is left for a page that was asked for.
    pub(super) async fn around(
        state: &AppState,
        session: &Session,
        uri: &Uri,
        headers: &HeaderMap,
        waiting: Waiting,
    ) -> Shell {
        let query = url::form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes())
            .find(|(key, _)| key == "q")
            .map(|(_, value)| value.into_owned())
            .unwrap_or_default();
        Shell {
            name: session.name.clone(),
            email: session.email.clone(),
            role: session.role,
            csrf: session.csrf_token.clone(),
            flash: None,
            theme: Theme::of(headers),
            email_is_simulated: state.senders.get(&Channel::Email).is_none_or(|it| !it.is_real()),
            demo_is_open: demo::opens(waiting.password_hash).await.unwrap_or_default(),
            unconfirmed: waiting.unconfirmed,
            unmatched: waiting.unmatched,
            tasks: waiting.tasks,
            path: uri.path().to_owned(),
            query,
        }
    }
}

impl FromRequestParts<AppState> for Shell {
    type Rejection = WebError;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Shell, WebError> {
        let session = parts
            .extensions
            .get::<Arc<Session>>()
            .cloned()
            .ok_or_else(|| Error::Internal("a frame is asked for on a public route".to_owned()))?;
        if let Some(shown) = parts.extensions.get::<Shown>()
            && session.notice.is_some()
        {
            shown.mark();
        }
        let flash = session.notice.clone().and_then(|it| serde_json::from_value(it).ok());
        let waiting = parts.extensions.get::<Waiting>().cloned().unwrap_or_default();
        let frame = Shell::around(state, &session, &parts.uri, &parts.headers, waiting).await;
        Ok(Shell { flash, ..frame })
    }
}

/// (group, icon, entries: (label, icon, path, permission)). Entries whose page does not exist are not shown.
type Entry = (&'static str, &'static str, &'static str, Permission);
const NAVIGATION: &[(&str, &str, &[Entry])] = &[
    ("Inicio", "home", &[("Inicio", "home", "/", Permission::View)]),
    (
        "Personas",
        "users",
        &[
            ("Contactos", "users", "/contacts", Permission::View),
            ("Empresas", "building", "/companies", Permission::View),
            ("Embudo", "filter", "/pipeline", Permission::View),
            ("Tareas", "calendar-event", "/tasks", Permission::View),
            ("Intereses", "heart", "/interests", Permission::View),
            ("Segmentos", "target-arrow", "/segments", Permission::View),
            ("Listas", "list-check", "/lists", Permission::View),
            ("Cambios masivos", "adjustments", "/bulk-actions", Permission::View),
            ("Importaciones", "file-import", "/imports", Permission::View),
            ("Duplicados", "users", "/duplicates", Permission::View),
        ],
    ),
    (
        "Mensajes",
        "mail",
        &[
            ("Campañas", "send", "/campaigns", Permission::View),
            ("Plantillas", "template", "/templates", Permission::View),
            ("Envíos a mano", "mail-forward", "/mailings", Permission::View),
            ("Mensajes", "mail", "/messages", Permission::View),
            ("Rebotes y respuestas", "mail-off", "/inbound", Permission::View),
            ("Lista de exclusión", "ban", "/suppressions", Permission::View),
            ("Bandeja de salida", "inbox", "/outbox", Permission::View),
        ],
    ),
    ("Automatización", "robot", &[("Trabajos programados", "clock", "/jobs", Permission::View)]),
    (
        "Ajustes",
        "settings",
        &[
            ("Negocio", "building-store", "/settings", Permission::EditSettings),
            ("Correo", "plug", "/settings/email", Permission::EditSettings),
            ("SMS", "message", "/settings/sms", Permission::EditSettings),
            ("Entregabilidad", "shield", "/settings/deliverability", Permission::EditSettings),
            ("Límites y horarios", "gauge", "/settings/limits", Permission::EditSettings),
            ("Textos con IA", "robot", "/settings/copywriter", Permission::EditSettings),
            ("Segmentos de valor", "chart-bar", "/settings/segments", Permission::EditSettings),
            ("Feriados", "calendar-off", "/settings/holidays", Permission::EditSettings),
            ("Equipo", "user-check", "/staff", Permission::ManageStaff),
            ("Auditoría", "history", "/audit", Permission::ViewAudit),
        ],
    ),
];

impl Shell {
    /// Whether the person may do it, so that a page shows only buttons that work.
    pub(super) fn may(&self, permission: Permission) -> bool {
        self.role.may(permission)
    }

    /// Whether the person may open the page at `path`.
    pub(super) fn may_open(&self, path: &str) -> bool {
        routes::may_open(self.role, path)
    }

    /// The navigation for this role, with the page at hand marked.
    pub(super) fn nav(&self) -> Vec<NavGroup> {
        let here = self.active_path();
        NAVIGATION
            .iter()
            .map(|(label, icon, entries)| {
                let items: Vec<NavItem> = entries
                    .iter()
                    .filter(|(_, _, path, needs)| self.role.may(*needs) && routes::has_page(path))
                    .map(|(label, icon, path, _)| NavItem {
                        label,
                        icon,
                        path,
                        active: Some(*path) == here,
                        waiting: match *path {
                            "/messages" => self.unconfirmed,
                            "/tasks" => self.tasks,
                            "/inbound" => self.unmatched,
                            _ => 0,
                        },
                    })
                    .collect();
                let active = items.iter().any(|it| it.active);
                NavGroup { label, icon, items, active }
            })
            .filter(|it| !it.items.is_empty())
            .collect()
    }

    /// The bottom bar of a phone: the pages people go to most.
    pub(super) fn bar(&self) -> Vec<NavItem> {
        let wanted = ["/", "/contacts", "/tasks", "/campaigns", "/messages"];
        let mut found: Vec<NavItem> =
            self.nav().into_iter().flat_map(|it| it.items).filter(|it| wanted.contains(&it.path)).collect();
        found.sort_by_key(|it| wanted.iter().position(|path| *path == it.path));
        found
    }

    /// The entry with the longest path that the page's own starts with.
    fn active_path(&self) -> Option<&'static str> {
        NAVIGATION
            .iter()
            .flat_map(|(_, _, entries)| entries.iter().map(|it| it.2))
            .filter(|path| {
                self.path == **path || (*path != "/" && self.path.starts_with(&format!("{path}/")))
            })
            .max_by_key(|path| path.len())
    }

    /// Initials for the round mark.
    pub(super) fn initials(&self) -> String {
        self.name
            .split_whitespace()
            .filter_map(|it| it.chars().next())
            .take(2)
            .collect::<String>()
            .to_uppercase()
    }
}
