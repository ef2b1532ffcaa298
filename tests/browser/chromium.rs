//! A browser window, in the words of a person: open, fill in, press, read. It knows
//! HTML and nothing of Llovizna.

use crate::app::variable;
use fantoccini::{
    Client, ClientBuilder, Locator,
    actions::{InputSource, MOUSE_BUTTON_LEFT, MouseActions, PointerAction, TouchActions},
    elements::Element,
    error::CmdError,
};
use hyper_util::client::legacy::connect::HttpConnector;
use serde_json::json;
use std::{
    path::Path,
    time::{Duration, Instant},
};

/// How long something that happens by itself may take to be seen.
const PATIENCE: Duration = Duration::from_secs(20);

/// A laptop's window.
pub(crate) const LAPTOP: (u32, u32) = (1440, 900);
/// A telephone's.
pub(crate) const PHONE: (u32, u32) = (390, 844);

/// One window of a Chromium of its own, at one site.
pub(crate) struct Window {
    client: Client,
    site: String,
}

impl Window {
    /// A window of this size, in pixels, at `site` (no final slash).
    pub(crate) async fn open_at(site: &str, (width, height): (u32, u32)) -> Window {
        let mut options = json!({
            "args": [
                "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
                "--disable-background-networking", "--disable-component-update", "--disable-sync",
                "--no-first-run", "--lang=es-CL", "--force-prefers-reduced-motion", format!("--window-size={width},{height}"),
            ],
        });
        if width < 500 {
            // No desktop window is that narrow.
            options["mobileEmulation"] =
                json!({ "deviceMetrics": { "width": width, "height": height, "pixelRatio": 1.0 } });
        }
        let wanted = json!({ "goog:chromeOptions": options });
        let client = ClientBuilder::new(HttpConnector::new())
            .capabilities(wanted.as_object().unwrap().clone())
            .connect(&variable("CHROMEDRIVER_URL"))
            .await
            .expect("a Chromium");
        Window { client, site: site.to_owned() }
    }

    /// Close it, and the Chromium with it.
    pub(crate) async fn close(self) {
        self.client.close().await.unwrap();
    }

    /// Go to a path of the site.
    pub(crate) async fn open(&self, path: &str) {
        self.client.goto(&format!("{}{path}", self.site)).await.unwrap();
    }

    /// The path where it is now, with its query.
    pub(crate) async fn path(&self) -> String {
        let url = self.client.current_url().await.unwrap();
        url.query().map_or_else(|| url.path().to_owned(), |query| format!("{}?{query}", url.path()))
    }

    /// Wait until it is at a path that begins like this.
    pub(crate) async fn arrives_at(&self, path: &str) {
        let began = Instant::now();
        while !self.path().await.starts_with(path) {
            assert!(began.elapsed() < PATIENCE, "it does not arrive at {path}:\n{}", self.describe().await);
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Put `value` in the field called `name`, whatever its kind. A check box takes `on` and `off`.
    pub(crate) async fn fill(&self, name: &str, value: &str) {
        let field = self.seen(&format!("[name='{name}']")).await;
        let tag = field.tag_name().await.unwrap();
        let kind = field.attr("type").await.unwrap().unwrap_or_default();
        match (tag.as_str(), kind.as_str()) {
            ("select", _) => field.select_by_value(value).await.unwrap(),
            (_, "checkbox") => {
                if field.is_selected().await.unwrap() != (value == "on") {
                    self.click_on(&field).await;
                }
            }
            (_, "radio") => self.click(&format!("[name='{name}'][value='{value}']")).await,
            // Typed, these depend on the language of the browser.
            (_, "date" | "time" | "datetime-local") => {
                let script = "arguments[0].value = arguments[1];
                    arguments[0].dispatchEvent(new Event('input', {bubbles: true}));
                    arguments[0].dispatchEvent(new Event('change', {bubbles: true}));";
                let field = serde_json::to_value(&field).unwrap();
                self.client.execute(script, vec![field, json!(value)]).await.unwrap();
            }
            _ => {
                field.clear().await.unwrap();
                field.send_keys(value).await.unwrap();
            }
        }
    }

    /// Tick or clear the box `value` among those called `name`.
    pub(crate) async fn tick(&self, name: &str, value: &str, wanted: bool) {
        let field = self.seen(&format!("[name='{name}'][value='{value}']")).await;
        if field.is_selected().await.unwrap() != wanted {
            self.click_on(&field).await;
        }
    }

    /// Choose a file of this machine in the page's file field.
    pub(crate) async fn choose_file(&self, file: &Path) {
        let field = self.client.find(Locator::Css("input[type=file]")).await.unwrap();
        field.send_keys(file.to_str().unwrap()).await.unwrap();
    }

    /// Press what `css` names.
    pub(crate) async fn click(&self, css: &str) {
        let began = Instant::now();
        loop {
            let found = self.seen(css).await;
            match self.try_to_click(&found).await {
                Ok(()) => return,
                // Its part of the page came anew just then.
                Err(error) => assert!(
                    error.is_stale_element_reference() && began.elapsed() < PATIENCE,
                    "{css} cannot be pressed: {error}"
                ),
            }
        }
    }

    /// Type `keys` where the focus is: text, or keys as WebDriver writes them.
    pub(crate) async fn key(&self, keys: &str) {
        self.client.active_element().await.unwrap().send_keys(keys).await.unwrap();
    }

    /// The name of the field that has the focus.
    pub(crate) async fn focus(&self) -> String {
        self.client.active_element().await.unwrap().attr("name").await.unwrap().unwrap_or_default()
    }

    /// Whether what has the focus stands in what `css` names.
    pub(crate) async fn focused_in(&self, css: &str) -> bool {
        let script = "return document.activeElement.closest(arguments[0]) !== null";
        self.client.execute(script, vec![json!(css)]).await.unwrap().as_bool().unwrap()
    }

    /// Give the focus to what `css` names, as Tab would.
    pub(crate) async fn point_at(&self, css: &str) {
        self.seen(css).await;
        self.run("document.querySelector(arguments[0]).focus()", css).await;
    }

    /// Put `value` in the field that `css` names.
    pub(crate) async fn fill_in(&self, css: &str, value: &str) {
        let field = self.seen(css).await;
        field.clear().await.unwrap();
        field.send_keys(value).await.unwrap();
    }

    /// What the field that `css` names holds; it may be hidden.
    pub(crate) async fn value(&self, css: &str) -> String {
        let field = self.client.find(Locator::Css(css)).await.unwrap();
        field.prop("value").await.unwrap().unwrap_or_default()
    }

    /// Wait until the field that `css` names, hidden or not, holds `value`.
    pub(crate) async fn holds(&self, css: &str, value: &str) {
        let began = Instant::now();
        loop {
            let found = self.client.find(Locator::Css(css)).await;
            let held = match found {
                Ok(it) => it.prop("value").await.unwrap_or_default().unwrap_or_default(),
                Err(_) => String::new(),
            };
            if held == value {
                return;
            }
            assert!(began.elapsed() < PATIENCE, "{css} does not hold «{value}»:\n{}", self.describe().await);
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// An attribute of what `css` names.
    pub(crate) async fn attribute(&self, css: &str, name: &str) -> String {
        self.seen(css).await.attr(name).await.unwrap().unwrap_or_default()
    }

    /// Carry what `from` names to the middle of what `to` names with the mouse, a bit at a time as a hand does.
    pub(crate) async fn drag(&self, from: &str, to: &str) {
        let hand = self.carrying(MouseActions::new("hand".to_owned()), from, to).await;
        self.client.perform_actions(hand).await.unwrap();
    }

    /// The same with a finger.
    pub(crate) async fn drag_by_touch(&self, from: &str, to: &str) {
        let finger = self.carrying(TouchActions::new("finger".to_owned()), from, to).await;
        self.client.perform_actions(finger).await.unwrap();
    }

    async fn carrying<T: InputSource<Action = PointerAction>>(&self, hand: T, from: &str, to: &str) -> T {
        let (from, to) = (self.seen(from).await, self.seen(to).await);
        let script = "arguments[0].scrollIntoView({block: 'center', behavior: 'instant'})";
        self.client.execute(script, vec![serde_json::to_value(&from).unwrap()]).await.unwrap();
        let step = Some(Duration::from_millis(100));
        let moved =
            |element: Element, x: f64| PointerAction::MoveToElement { element, duration: step, x, y: 0.0 };
        hand.then(moved(from, 0.0))
            .then(PointerAction::Down { button: MOUSE_BUTTON_LEFT })
            .then(PointerAction::MoveBy { duration: step, x: 10.0, y: 4.0 })
            .then(moved(to.clone(), -8.0))
            .then(moved(to, 0.0))
            .then(PointerAction::Up { button: MOUSE_BUTTON_LEFT })
    }

    /// Press the link, button, label or fold that says `text`.
    pub(crate) async fn press(&self, text: &str) {
        let path = format!(
            "//*[self::a or self::button or self::summary or self::label][contains(normalize-space(.), \"{text}\")]"
        );
        let began = Instant::now();
        loop {
            for found in self.client.find_all(Locator::XPath(&path)).await.unwrap() {
                if found.is_displayed().await.unwrap_or(false) {
                    self.click_on(&found).await;
                    return;
                }
            }
            assert!(began.elapsed() < PATIENCE, "nothing to press says «{text}»:\n{}", self.describe().await);
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Wait until the page says `text`.
    pub(crate) async fn sees(&self, text: &str) {
        let began = Instant::now();
        while !self.text().await.contains(text) {
            assert!(began.elapsed() < PATIENCE, "«{text}» does not show:\n{}", self.describe().await);
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Wait until what `css` names says `text`.
    pub(crate) async fn sees_in(&self, css: &str, text: &str) {
        let began = Instant::now();
        loop {
            let found = self.client.find(Locator::Css(css)).await;
            let said = match found {
                // It may be replaced while it is read.
                Ok(it) => it.text().await.map(|it| words(&it)).unwrap_or_default(),
                Err(_) => String::new(),
            };
            if said.contains(text) {
                return;
            }
            assert!(began.elapsed() < PATIENCE, "{css} does not say «{text}»:\n{}", self.describe().await);
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Wait until the page in the frame that `css` names says `text`.
    pub(crate) async fn sees_in_frame(&self, css: &str, text: &str) {
        let began = Instant::now();
        loop {
            // It may be replaced while it is entered.
            let is_in = self.seen(css).await.enter_frame().await.is_ok();
            let said = if is_in { self.text().await } else { String::new() };
            self.client.enter_parent_frame().await.unwrap();
            if said.contains(text) {
                return;
            }
            assert!(
                began.elapsed() < PATIENCE,
                "{css} does not say «{text}» but «{said}»:\n{}",
                self.describe().await
            );
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// How many pixels wide what `css` names is.
    pub(crate) async fn width_of(&self, css: &str) -> i64 {
        let script = "return Math.round(document.querySelector(arguments[0]).getBoundingClientRect().width)";
        self.client.execute(script, vec![json!(css)]).await.unwrap().as_i64().unwrap()
    }

    /// The words of the whole page, as they show, blanks made one.
    pub(crate) async fn text(&self) -> String {
        match self.client.find(Locator::Css("body")).await {
            Ok(body) => words(&body.text().await.unwrap_or_default()),
            Err(_) => String::new(),
        }
    }

    /// The words of each element that `css` names.
    pub(crate) async fn texts_of(&self, css: &str) -> Vec<String> {
        let mut texts = Vec::new();
        for found in self.client.find_all(Locator::Css(css)).await.unwrap() {
            texts.push(words(&found.text().await.unwrap()));
        }
        texts
    }

    /// Where the first link that says `text` leads.
    pub(crate) async fn link(&self, text: &str) -> String {
        let path = format!("//a[contains(normalize-space(.), \"{text}\")]");
        let Ok(link) = self.client.find(Locator::XPath(&path)).await else {
            panic!("no link says «{text}»:\n{}", self.describe().await);
        };
        link.attr("href").await.unwrap().unwrap_or_default()
    }

    /// `name=value` of each cookie, as a request sends them.
    pub(crate) async fn cookies(&self) -> String {
        let cookies = self.client.get_all_cookies().await.unwrap();
        cookies.iter().map(|it| format!("{}={}", it.name(), it.value())).collect::<Vec<_>>().join("; ")
    }

    /// How many pixels the page is wider than its window.
    pub(crate) async fn overflow(&self) -> i64 {
        let script = "return document.documentElement.scrollWidth - document.documentElement.clientWidth";
        self.client.execute(script, Vec::new()).await.unwrap().as_i64().unwrap()
    }

    /// Run a script of the page, with `value` as its argument: for what no hand is quick enough.
    pub(crate) async fn run(&self, script: &str, value: &str) {
        self.client.execute(script, vec![json!(value)]).await.unwrap();
    }

    /// Run a script that calls its last argument with lines, and give these.
    pub(crate) async fn ask(&self, script: &str) -> Vec<String> {
        let told = self.client.execute_async(script, Vec::new()).await.unwrap();
        serde_json::from_value(told).unwrap()
    }

    /// Keep a picture of the window as `target/screenshots/NAME.png`.
    pub(crate) async fn picture(&self, name: &str) {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/screenshots");
        std::fs::create_dir_all(&folder).unwrap();
        let png = self.client.screenshot().await.unwrap();
        std::fs::write(folder.join(format!("{name}.png")), png).unwrap();
    }

    /// The first element that `css` names and that shows.
    pub(crate) async fn seen(&self, css: &str) -> Element {
        let began = Instant::now();
        loop {
            for found in self.client.find_all(Locator::Css(css)).await.unwrap() {
                if found.is_displayed().await.unwrap_or(false) {
                    return found;
                }
            }
            assert!(began.elapsed() < PATIENCE, "no {css} shows:\n{}", self.describe().await);
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Click in the middle of the window, where nothing that stays in place covers it.
    async fn try_to_click(&self, element: &Element) -> Result<(), CmdError> {
        let script = "arguments[0].scrollIntoView({block: 'center', behavior: 'instant'})";
        self.client.execute(script, vec![serde_json::to_value(element).unwrap()]).await?;
        element.click().await
    }

    async fn click_on(&self, element: &Element) {
        self.try_to_click(element).await.unwrap();
    }

    async fn describe(&self) -> String {
        self.picture("failure").await;
        format!("{}\n{}\n(target/screenshots/failure.png)", self.path().await, self.text().await)
    }
}

fn words(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}
