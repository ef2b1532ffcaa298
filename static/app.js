// The panel's keys and small comforts. Everything works without this file.
(function () {
  "use strict";

  // What only a script can answer is not shown without one.
  document.querySelectorAll("[data-scripted]").forEach(function (it) { it.hidden = false; });

  // A file that is let go anywhere over the box is the one that the box asks for.
  ["dragover", "drop"].forEach(function (kind) {
    document.addEventListener(kind, function (event) {
      var box = event.target instanceof Element ? event.target.closest(".drop") : null;
      var field = box && box.querySelector("input[type=file]");
      if (!field || event.target === field || !event.dataTransfer.types.includes("Files")) return;
      event.preventDefault();
      if (kind === "drop" && event.dataTransfer.files.length) {
        field.files = event.dataTransfer.files;
        field.dispatchEvent(new Event("change", { bubbles: true }));
      }
    });
  });

  function typing(target) {
    return target.closest("input, textarea, select, [contenteditable]") !== null;
  }

  document.addEventListener("keydown", function (event) {
    var target = event.target instanceof Element ? event.target : document.body;
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
      var form = target.closest("form");
      if (form && form.method === "post") {
        event.preventDefault();
        form.requestSubmit();
      }
      return;
    }
    if ((event.ctrlKey || event.metaKey) && !event.shiftKey && !event.altKey && event.key.toLowerCase() === "k") {
      event.preventDefault();
      openPalette();
      return;
    }
    if (event.key === "Escape") {
      document.querySelectorAll("details.menu[open], details.more-filters[open]").forEach(function (menu) {
        menu.removeAttribute("open");
        if (menu.contains(target)) menu.querySelector("summary").focus();
      });
      return;
    }
    if (event.ctrlKey || event.metaKey || event.altKey || typing(target)) return;
    if (event.key === "/") {
      var search = Array.from(document.querySelectorAll("[data-search]")).find(function (it) {
        return it.offsetParent !== null;
      });
      if (search) {
        event.preventDefault();
        search.focus();
        search.select();
      }
    } else if (event.key === "?") {
      var keys = document.getElementById("keys");
      if (keys && keys.togglePopover) keys.togglePopover();
    }
  });

  // The palette: the box keeps the focus, arrows walk what was found, Enter goes to the first.
  // Who types fast presses Enter before the answer is there: it waits for it, since what still
  // shows was found for other words.
  function goToFirst(palette) {
    var found = palette.querySelector("[data-found-for]");
    var typed = palette.querySelector("input").value.trim();
    var first = palette.querySelector("[data-hit]");
    if (!found || found.dataset.foundFor !== typed) return;
    delete palette.dataset.going;
    if (first) first.click();
  }
  document.addEventListener("htmx:afterSettle", function (event) {
    var palette = event.target instanceof Element ? event.target.closest("#palette") : null;
    if (palette && "going" in palette.dataset) goToFirst(palette);
  });
  function openPalette() {
    var palette = document.getElementById("palette");
    if (!palette || palette.open) return;
    palette.showModal();
    delete palette.dataset.going;
    var box = palette.querySelector("input");
    box.select();
    if (window.htmx) window.htmx.trigger(box, "palette");
  }
  document.addEventListener("keydown", function (event) {
    var palette = event.target instanceof Element ? event.target.closest("#palette") : null;
    if (!palette) return;
    delete palette.dataset.going;
    var hits = Array.from(palette.querySelectorAll("[data-hit]"));
    var at = hits.indexOf(event.target);
    if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      event.preventDefault();
      var next = event.key === "ArrowDown" ? at + 1 : at - 1;
      var to = next < 0 ? palette.querySelector("input") : hits[Math.min(next, hits.length - 1)];
      if (to) to.focus();
    } else if (event.key === "Escape") {
      // The browser would first empty the box and only then close.
      event.preventDefault();
      palette.close();
    } else if (event.key === "Enter" && at < 0 && window.htmx) {
      event.preventDefault();
      palette.dataset.going = "";
      goToFirst(palette);
    } else if (at >= 0 && event.key.length === 1 && !event.ctrlKey && !event.metaKey) {
      palette.querySelector("input").focus();
    }
  });
  document.addEventListener("click", function (event) {
    if (!(event.target instanceof Element)) return;
    if (event.target.id === "palette") event.target.close();
    if (event.target.closest("[data-palette]") && !event.ctrlKey && !event.metaKey) {
      event.preventDefault();
      openPalette();
    }
  });

  // What a box found while one typed: arrows walk it, Escape comes back to the box and puts away what hangs below it.
  document.addEventListener("keydown", function (event) {
    var target = event.target instanceof Element ? event.target : null;
    if (!target) return;
    var found = target.closest("[data-walked]");
    var results = target.closest("#results");
    var box = target.matches("[data-walks]") ? target
      : found ? document.querySelector(found.dataset.walked)
      : results && target.matches("tbody td:first-child a") ? document.querySelector("[data-walks^='#results']") : null;
    if (!box) return;
    var hits = Array.from(document.querySelectorAll(box.dataset.walks));
    var at = hits.indexOf(target);
    if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      var next = event.key === "ArrowDown" ? at + 1 : at - 1;
      var to = next < 0 ? box : hits[Math.min(next, hits.length - 1)];
      if (!to || to === target) return;
      event.preventDefault();
      to.focus();
    } else if (event.key === "Escape") {
      var hanging = document.querySelector("[data-walked='#" + box.id + "']");
      if (!hanging || !hanging.firstChild) return;
      event.preventDefault();
      hanging.replaceChildren();
      box.focus();
    }
  });
  // The address of a list follows what is typed, and so does what can be done with its rows.
  document.addEventListener("htmx:afterSettle", function () {
    document.querySelectorAll("#results [data-bulk]").forEach(count);
  });

  // A menu closes when one looks elsewhere.
  document.addEventListener("click", function (event) {
    document.querySelectorAll("details.menu[open]").forEach(function (menu) {
      if (!menu.contains(event.target)) menu.removeAttribute("open");
    });
    var dismiss = event.target instanceof Element ? event.target.closest("[data-dismiss]") : null;
    if (dismiss) {
      var notice = dismiss.closest("[data-notice]");
      if (notice) notice.remove();
    }
  });

  // A button pressed twice must not do a thing twice.
  document.addEventListener("submit", function (event) {
    var form = event.target;
    // A file comes down beside the page, which stays: it may be asked for again.
    if (form.method !== "post" || form.hasAttribute("data-download")) return;
    // A preview goes to a frame of the page; it sends nothing for good.
    if (event.submitter && event.submitter.formTarget) return;
    if (form.dataset.sent) {
      event.preventDefault();
      return;
    }
    form.dataset.sent = "yes";
    var button = event.submitter || form.querySelector("button[type=submit], button:not([type])");
    if (button) button.setAttribute("aria-busy", "true");
    setTimeout(release, 20000, form);
  });
  // Whose session ended while they wrote gets back what they typed, once they are signed in again on the same page.
  var UNSENT = "unsent";
  function remember(form) {
    var fields = [];
    Array.from(form.elements).forEach(function (it) {
      if (!it.name || /^(hidden|password|file|submit|button)$/.test(it.type)) return;
      if (/^(checkbox|radio)$/.test(it.type) && !it.checked) return;
      if (it.type === "select-multiple") {
        Array.from(it.selectedOptions).forEach(function (chosen) { fields.push([it.name, chosen.value]); });
      } else {
        fields.push([it.name, it.value]);
      }
    });
    var kept = { page: location.pathname, action: form.getAttribute("action") || "", fields: fields, expired: false };
    try {
      sessionStorage.setItem(UNSENT, JSON.stringify(kept));
    } catch (full) {
      sessionStorage.removeItem(UNSENT);
    }
  }
  document.addEventListener("submit", function (event) {
    if (event.target.method === "post" && !event.defaultPrevented && location.pathname !== "/login") remember(event.target);
  });
  function bringBack() {
    var kept = JSON.parse(sessionStorage.getItem(UNSENT) || "null");
    if (!kept) return;
    if (location.pathname === "/login") {
      if (new URLSearchParams(location.search).get("reason") === "unsaved") kept.expired = true;
      // Signing in is a form too: what it leaves must not take the place of what was typed.
      sessionStorage.setItem(UNSENT, JSON.stringify(kept));
      return;
    }
    sessionStorage.removeItem(UNSENT);
    if (!kept.expired || kept.page !== location.pathname) return;
    var form = Array.from(document.forms).find(function (it) {
      return it.method === "post" && (it.getAttribute("action") || "") === kept.action;
    });
    if (!form) return;
    Array.from(form.elements).forEach(function (it) {
      if (!it.name || /^(hidden|password|file|submit|button)$/.test(it.type)) return;
      var values = kept.fields.filter(function (pair) { return pair[0] === it.name; }).map(function (pair) { return pair[1]; });
      if (/^(checkbox|radio)$/.test(it.type)) it.checked = values.indexOf(it.value) >= 0;
      else if (it.type === "select-multiple") Array.from(it.options).forEach(function (one) { one.selected = values.indexOf(one.value) >= 0; });
      else if (values.length) it.value = values[0];
    });
    form.dispatchEvent(new Event("change", { bubbles: true }));
    var told = document.createElement("p");
    told.className = "alert alert-info";
    told.setAttribute("role", "status");
    told.textContent = "Recuperamos lo que habías escrito. Revísalo y guárdalo otra vez.";
    form.prepend(told);
  }
  bringBack();

  // A page that was stopped from loading, or does not come, leaves its button to be pressed again.
  function release(form) {
    delete form.dataset.sent;
    form.querySelectorAll("[aria-busy=true]").forEach(function (it) {
      it.removeAttribute("aria-busy");
    });
  }
  document.addEventListener("keydown", function (event) {
    if (event.key === "Escape") document.querySelectorAll("form[data-sent]").forEach(release);
  });

  // Coming back with the browser's arrow, the form may be sent again.
  window.addEventListener("pageshow", function () {
    document.querySelectorAll("form[data-sent]").forEach(function (form) {
      delete form.dataset.sent;
    });
    document.querySelectorAll("[aria-busy=true]").forEach(function (it) {
      it.removeAttribute("aria-busy");
    });
  });

  // Fragments carry the session's token, as forms do.
  document.addEventListener("htmx:configRequest", function (event) {
    var token = document.querySelector("meta[name=csrf-token]");
    if (token) event.detail.headers["X-CSRF-Token"] = token.content;
  });
  document.addEventListener("htmx:afterRequest", function (event) {
    var form = event.detail.elt;
    if (form && form.dataset && form.dataset.sent) delete form.dataset.sent;
    if (form && form.querySelectorAll) {
      form.querySelectorAll("[aria-busy=true]").forEach(function (it) {
        it.removeAttribute("aria-busy");
      });
    }
  });
  document.addEventListener("htmx:sendError", function () {
    var toasts = document.getElementById("toasts");
    var lost = document.getElementById("toast-offline");
    if (toasts && lost && !toasts.querySelector("[data-offline]")) {
      toasts.append(lost.content.cloneNode(true));
    }
  });

  // Of many tabs on a narrow screen, the one that is looked at shows.
  document.addEventListener("DOMContentLoaded", function () {
    document.querySelectorAll(".tabs [aria-current]").forEach(function (tab) {
      var tabs = tab.parentElement;
      tabs.scrollLeft = tab.offsetLeft - tabs.offsetLeft - (tabs.clientWidth - tab.offsetWidth) / 2;
    });
  });

  // Who writes a letter on a telephone looks at it first as telephones show it.
  document.addEventListener("DOMContentLoaded", function () {
    var phone = document.getElementById("width-phone");
    if (phone && window.matchMedia("(max-width: 700px)").matches) phone.checked = true;
  });

  // Choosing in a filter is enough to apply it.
  document.addEventListener("change", function (event) {
    if (event.target instanceof Element && event.target.matches("[data-submit]")) {
      event.target.form.requestSubmit();
    }
  });

  // Bulk bar: appears with a selection. Without this file it is always there.
  function count(scope) {
    var boxes = Array.from(scope.querySelectorAll("input[data-bulk-item]"));
    var chosen = boxes.filter(function (it) {
      return it.checked;
    }).length;
    scope.querySelectorAll("[data-bulk-count]").forEach(function (it) {
      it.textContent = chosen === 1 ? "1 marcado" : chosen + " marcados";
    });
    scope.querySelectorAll("[data-bulk-bar]").forEach(function (it) {
      it.hidden = chosen === 0;
    });
    var all = scope.querySelector("[data-bulk-all]");
    if (all) {
      all.hidden = false;
      all.checked = chosen > 0 && chosen === boxes.length;
      all.indeterminate = chosen > 0 && chosen < boxes.length;
    }
  }
  document.addEventListener("change", function (event) {
    if (!(event.target instanceof HTMLInputElement)) return;
    var scope = event.target.closest("[data-bulk]");
    if (!scope) return;
    if (event.target.matches("[data-bulk-all]")) {
      scope.querySelectorAll("input[data-bulk-item]").forEach(function (it) {
        it.checked = event.target.checked;
      });
    }
    count(scope);
  });
  window.addEventListener("pageshow", function () {
    document.querySelectorAll("[data-bulk]").forEach(count);
  });
  // Filling in what belongs to a choice is choosing it.
  function pick(event) {
    var choice = event.target instanceof Element ? event.target.closest("[data-picks]") : null;
    var radio = choice && choice.querySelector("input[type=radio]");
    if (radio && event.target !== radio) radio.checked = true;
  }
  document.addEventListener("input", pick);
  document.addEventListener("change", pick);

  // Writing a campaign: variables at the cursor, the message's frame, the own window.
  var lastField = null;
  document.addEventListener("focusin", function (event) {
    if (event.target instanceof Element && event.target.matches("[data-insert-scope] textarea, [data-insert-scope] input[type=text]")) {
      lastField = event.target;
    }
  });
  document.addEventListener("click", function (event) {
    var button = event.target instanceof Element ? event.target.closest("[data-insert]") : null;
    if (!button) return;
    var field = lastField || document.getElementById("field-body");
    if (!field) return;
    field.focus();
    field.setRangeText(button.dataset.insert, field.selectionStart, field.selectionEnd, "end");
    field.dispatchEvent(new Event("input", { bubbles: true }));
  });
  document.addEventListener("htmx:afterSwap", function (event) {
    if (!event.detail.target || event.detail.target.id !== "preview") return;
    // The letter says how tall it is; its frame stays, since what it shows arrives on its own.
    var shown = document.getElementById("preview");
    document.querySelector("[name=preview-frame]").className = ("letter-frame short " + shown.dataset.frame).trim();
    var button = document.querySelector("[data-preview]");
    // A form that is submitted twice forgets the first time (HTML, "planned navigation"):
    // a preview that arrives just after "Guardar" must not undo it.
    if (button && !button.form.dataset.sent) button.form.requestSubmit(button);
  });
  function reveal() {
    document.querySelectorAll("[data-reveals]").forEach(function (it) {
      document.getElementById(it.dataset.reveals).hidden = !it.checked;
    });
  }
  document.addEventListener("change", reveal);
  document.addEventListener("DOMContentLoaded", reveal);

  // A fact that is changed where it is read: a press opens it, Enter or leaving saves it, Escape leaves it. What was
  // emptied goes only by Enter or its button: who just leaves may not have meant to lose it. Beside other changes it stays open.
  document.addEventListener("click", function (event) {
    var target = event.target instanceof Element ? event.target : null;
    var fact = target && target.closest("[data-fact]");
    if (!fact || target.closest("a, button") || String(window.getSelection())) return;
    fact.querySelector("[data-fact-edit]").click();
  });
  // Some browsers give a pressed button no focus: to press one of the form's own is not to leave it.
  var pressedIn = null;
  document.addEventListener("pointerdown", function (event) {
    pressedIn = event.target instanceof Element ? event.target.closest("[data-fact-form]") : null;
  });
  document.addEventListener("keydown", function (event) {
    pressedIn = null;
    var form = event.target instanceof Element ? event.target.closest("[data-fact-form]") : null;
    if (!form) return;
    if (event.key === "Escape") {
      form.querySelector("[data-fact-leave]").click();
    } else if (event.key === "Enter" && event.target instanceof HTMLSelectElement) {
      event.preventDefault();
      form.requestSubmit();
    }
  });
  document.addEventListener("focusout", function (event) {
    var form = event.target instanceof Element ? event.target.closest("[data-fact-saves]") : null;
    // Another window is not elsewhere on the page; a form that is being replaced is not left.
    if (!form || !document.hasFocus() || !form.isConnected || form.contains(event.relatedTarget)) return;
    // Longer than htmx takes to look at what it put in: before, a submit would leave the page.
    setTimeout(function () {
      if (!form.isConnected || form === pressedIn || form.contains(document.activeElement)) return;
      var changed = changedIn(form);
      var emptied = changed.filter(isEmptied);
      if (emptied.length === changed.length) form.querySelector("[data-fact-leave]").click();
      else if (!emptied.length) form.requestSubmit();
    }, 60);
  });
  // The fields that say something else than when they came.
  function changedIn(form) {
    return Array.from(form.elements).filter(function (it) {
      if (!(it instanceof HTMLSelectElement)) return "defaultValue" in it && it.value !== it.defaultValue;
      var stood = it.querySelector("option[selected]") || it.options[0];
      return stood && it.value !== stood.value;
    });
  }
  function isEmptied(field) {
    return !(field instanceof HTMLSelectElement) && field.value.trim() === "";
  }
  // Who lost the focus to a swap gets it back: in the field, or where it can be opened again.
  document.addEventListener("htmx:afterSwap", function (event) {
    var target = event.detail.target;
    var fact = target && target.id.indexOf("fact-") === 0 ? document.getElementById(target.id) : null;
    if (!fact) return;
    // Just opened: what is typed takes the place of what it said.
    var opened = fact.querySelector("[data-fact-saves] [autofocus]");
    if (opened) {
      opened.focus();
      if (opened instanceof HTMLInputElement) opened.select();
      if (opened instanceof HTMLTextAreaElement) opened.setSelectionRange(opened.value.length, opened.value.length);
      return;
    }
    if (document.activeElement !== document.body) return;
    var next = fact.querySelector("input:not([type=hidden]), select, textarea") || fact.querySelector("[data-fact-edit]");
    if (next) next.focus();
  });

  // What was unfolded stays so when its part of the page comes anew by itself.
  var unfolded = [];
  document.addEventListener("htmx:beforeSwap", function (event) {
    unfolded = Array.from(event.detail.target.querySelectorAll("details[id][open]")).map(function (it) { return it.id; });
  });
  document.addEventListener("htmx:afterSwap", function () {
    unfolded.forEach(function (id) {
      var it = document.getElementById(id);
      if (it instanceof HTMLDetailsElement) it.open = true;
    });
  });

  // Copy to the clipboard.
  document.addEventListener("click", function (event) {
    var button = event.target instanceof Element ? event.target.closest("[data-copy]") : null;
    if (!button || !navigator.clipboard) return;
    navigator.clipboard.writeText(button.dataset.copy).then(function () {
      var said = button.querySelector("[data-copy-said]") || button;
      said.textContent = "Copiado";
    });
  });

  // The board: a card is carried to another stage by its grip, or by its body with a mouse.
  // Dropping it chooses the stage in the card's own form and sends that.
  var carried = null;
  var boardLeft = 0;
  function readyBoard() {
    var board = document.querySelector("[data-board]");
    if (!board) return;
    board.setAttribute("data-ready", "");
    board.scrollLeft = boardLeft;
  }
  document.addEventListener("DOMContentLoaded", readyBoard);
  document.addEventListener("htmx:beforeSwap", function () {
    var board = document.querySelector("[data-board]");
    if (board) boardLeft = board.scrollLeft;
  });
  document.addEventListener("htmx:afterSwap", readyBoard);
  // A card that was moved from its own form keeps the focus where it now stands.
  document.addEventListener("htmx:afterSettle", function (event) {
    var form = event.detail.requestConfig && event.detail.requestConfig.elt;
    if (!(form instanceof Element) || !form.classList.contains("deal-move")) return;
    if (document.activeElement && document.activeElement !== document.body) return;
    var select = document.getElementById(form.querySelector("select").id);
    var card = select ? select.closest("[data-deal]") : null;
    var button = card ? card.querySelector(".deal-move button") : null;
    if (!button) return;
    button.focus({ preventScroll: true });
    card.scrollIntoView({ block: "nearest", inline: "nearest" });
  });
  function laneAt(x, y) {
    var under = document.elementFromPoint(x, y);
    return under ? under.closest("[data-lane]") : null;
  }
  function lift(card, event) {
    var box = card.getBoundingClientRect();
    var gap = document.createElement("li");
    gap.className = "deal-gap";
    gap.style.height = box.height + "px";
    card.style.width = box.width + "px";
    card.classList.add("dragged");
    card.after(gap);
    carried.gap = gap;
    carried.dx = event.clientX - box.left;
    carried.dy = event.clientY - box.top;
  }
  function letGo(commit) {
    if (!carried) return;
    var it = carried;
    carried = null;
    document.querySelectorAll(".lane.over").forEach(function (lane) {
      lane.classList.remove("over");
    });
    if (!it.gap) return;
    it.card.classList.remove("dragged");
    ["width", "left", "top"].forEach(function (name) {
      it.card.style[name] = "";
    });
    it.gap.remove();
    // The press must not end as a click on a link of the card.
    document.addEventListener("click", function (event) { event.preventDefault(); }, { capture: true, once: true });
    setTimeout(function () { document.dispatchEvent(new Event("click", { cancelable: true })); }, 0);
    var form = it.card.querySelector("form");
    if (commit && it.lane && it.lane !== it.card.closest("[data-lane]") && form) {
      it.lane.querySelector(".deals").prepend(it.card);
      form.elements.stage_id.value = it.lane.dataset.lane;
      form.requestSubmit();
    }
  }
  document.addEventListener("pointerdown", function (event) {
    var target = event.target instanceof Element ? event.target : null;
    var card = target ? target.closest("[data-deal]") : null;
    if (!card || event.button !== 0 || !card.querySelector("form")) return;
    var grip = target.closest("[data-grip]");
    if (!grip && (event.pointerType !== "mouse" || target.closest("select, button"))) return;
    carried = { card: card, x: event.clientX, y: event.clientY, pointer: event.pointerId, gap: null, lane: null };
  });
  document.addEventListener("dragstart", function (event) {
    if (event.target instanceof Element && event.target.closest("[data-deal]")) event.preventDefault();
  });
  document.addEventListener("pointermove", function (event) {
    if (!carried || event.pointerId !== carried.pointer) return;
    if (!carried.gap) {
      if (Math.hypot(event.clientX - carried.x, event.clientY - carried.y) < 6) return;
      lift(carried.card, event);
    }
    event.preventDefault();
    carried.card.style.left = event.clientX - carried.dx + "px";
    carried.card.style.top = event.clientY - carried.dy + "px";
    var board = carried.card.closest("[data-board]");
    var edge = board.getBoundingClientRect();
    if (event.clientX > edge.right - 40) board.scrollLeft += 12;
    if (event.clientX < edge.left + 40) board.scrollLeft -= 12;
    var lane = laneAt(event.clientX, event.clientY);
    if (lane !== carried.lane) {
      if (carried.lane) carried.lane.classList.remove("over");
      if (lane) lane.classList.add("over");
      carried.lane = lane;
    }
  });
  document.addEventListener("pointerup", function () {
    letGo(true);
  });
  document.addEventListener("pointercancel", function () {
    letGo(false);
  });
  document.addEventListener("keydown", function (event) {
    if (event.key === "Escape") letGo(false);
  });

  // A countdown goes on between what the server says; at its end the page is asked anew.
  setInterval(function () {
    document.querySelectorAll("[data-countdown]").forEach(function (clock) {
      var left = Number(clock.dataset.countdown) - 1;
      if (left < 0) return;
      clock.dataset.countdown = String(left);
      clock.textContent = Math.floor(left / 60) + ":" + String(left % 60).padStart(2, "0");
      if (left === 0) setTimeout(function () { location.reload(); }, 1000);
    });
  }, 1000);
})();
