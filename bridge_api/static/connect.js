// Tells the page that opened this window how the sign-in ended; the page works without it.
const result = document.querySelector('main').dataset;
if (window.opener) {
  window.opener.postMessage({ type: 'hub:connect', ...result }, window.location.origin);
}
