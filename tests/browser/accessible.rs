//! Every page that links lead to, judged by axe-core: at a laptop and on a telephone, light and dark.

use crate::{
    app::App,
    chromium::{LAPTOP, PHONE, Window},
    signing_in::sign_in_as,
};
use std::collections::{BTreeSet, VecDeque};

/// axe-core 4.14.1 by Deque Systems, MPL-2.0 (LICENSE beside it), as npm has it.
const AXE: &str = include_str!("axe/axe-4.14.1.min.js");

/// Whoever looks at the demo.
const VISITOR: (&str, &str) = ("demo@llovizna.example", "gotas de prueba");

/// Whether it is in the page.
const HAS: &str = "arguments[arguments.length - 1]([String(!!window.axe)])";

/// What it finds, a line for each rule that is broken. Of the dark theme only its colours: all else is the light one's too.
const ASK: &str = "
    const done = arguments[arguments.length - 1];
    const told = it => it.nodes.slice(0, 3).map(one => one.html.slice(0, 160)).join(' | ');
    const dark = document.documentElement.getAttribute('data-bs-theme') === 'dark';
    const asked = dark ? { runOnly: ['color-contrast'] } : {};
    axe.run(document, { resultTypes: ['violations'], ...asked }).then(
        found => done(found.violations.map(it => `${it.id}: ${it.help}: ${told(it)}`)),
        error => done([`axe: ${error}`]),
    );";

/// Where the links of the page lead, within the site and to pages.
const LINKS: &str = "
    const done = arguments[arguments.length - 1];
    const pages = [...document.querySelectorAll('a[href]:not([download]):not([target])')]
        .filter(it => it.origin === location.origin && !/\\.[a-z]+$|\\/static\\//.test(it.pathname));
    done(pages.map(it => it.pathname + it.search));";

/// The page as one of its kind: numbers aside, and of its questions only which were asked.
fn kind(path: &str) -> String {
    let (path, query) = path.split_once('?').unwrap_or((path, ""));
    let parts = path.split('/').map(|it| if it.starts_with(|c: char| c.is_ascii_digit()) { "#" } else { it });
    let path = parts.collect::<Vec<_>>().join("/");
    // What lists are asked only chooses their rows.
    if query.is_empty() || path.split('/').count() == 2 { path } else { format!("{path}?") }
}

/// Put on a theme, at once: colours on their way from one to the other are nobody's.
const WEAR: &str = "
    const still = new CSSStyleSheet();
    still.replaceSync('* { transition: none !important; animation: none !important; }');
    document.adoptedStyleSheets = [still];
    document.documentElement.setAttribute('data-bs-theme', arguments[0]);";

async fn judged(window: &Window, theme: &str) -> Vec<String> {
    window.run(WEAR, theme).await;
    if window.ask(HAS).await != ["true"] {
        window.run(AXE, "").await;
    }
    window.ask(ASK).await
}

/// The page as it stands breaks no rule. Of a journey, for pages and parts that no link of the demo leads to.
pub(crate) async fn holds(window: &Window) {
    let faults = judged(window, "light").await;
    assert!(faults.is_empty(), "{}:\n{}", window.path().await, faults.join("\n"));
}

async fn walk(size: (u32, u32), themes: &[&str]) {
    let app = App::start_with(&["serve", "--demo"], &[("ADMIN_EMAIL", ""), ("ADMIN_PASSWORD", "")]).await;
    let window = Window::open_at(&app.url, size).await;
    window.open("/login").await;
    let mut faults = BTreeSet::new();
    faults.extend(judged(&window, "light").await.into_iter().map(|it| format!("/login {it}")));
    sign_in_as(&window, VISITOR).await;

    let mut known = BTreeSet::from(["/".to_owned(), "/nada".to_owned()]);
    let mut waiting = VecDeque::from(["/".to_owned(), "/nada".to_owned()]);
    while let Some(path) = waiting.pop_front() {
        window.open(&path).await;
        for theme in themes {
            let found = judged(&window, theme).await;
            faults.extend(found.into_iter().map(|it| format!("{path} ({theme}) {it}")));
        }
        if window.overflow().await > 0 {
            faults.insert(format!("{path} is wider than the window"));
        }
        for link in window.ask(LINKS).await {
            if known.insert(kind(&link)) {
                waiting.push_back(link);
            }
        }
    }
    window.close().await;
    assert!(known.len() > 60, "{known:?}");
    assert!(
        faults.is_empty(),
        "{} faults:\n{}",
        faults.len(),
        faults.into_iter().collect::<Vec<_>>().join("\n")
    );
}

#[tokio::test]
async fn every_page_can_be_used_by_everyone_at_a_laptop() {
    walk(LAPTOP, &["light", "dark"]).await;
}

#[tokio::test]
async fn every_page_can_be_used_by_everyone_on_a_telephone() {
    walk(PHONE, &["light"]).await;
}
