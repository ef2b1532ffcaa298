// Runs before the page is drawn, so that a dark page never flashes white.
(function () {
  var root = document.documentElement;
  if (root.dataset.theme !== "auto" || !window.matchMedia) return;
  var dark = window.matchMedia("(prefers-color-scheme: dark)");
  function follow() {
    root.dataset.bsTheme = dark.matches ? "dark" : "light";
  }
  follow();
  dark.addEventListener("change", follow);
})();
