/*
 * The token, where the server wants one: asked for when a request is refused, sent with each that
 * follows, and kept for this tab only, until it is closed or somebody logs out. A client
 * certificate, where it wants one of those, is the browser's: no token helps then.
 */
"use strict";

const access = (() => {
  const KEY = "tally-token";

  let token = null;
  let locked = false;
  let onUnlock = () => {};

  /* A browser that keeps nothing throws; then the token lasts as long as the page. */
  function stored(change) {
    try {
      return change(sessionStorage);
    } catch {
      return null;
    }
  }

  function show(reason) {
    dom.byId("access").hidden = !locked;
    dom.byId("log-out").hidden = locked || token === null;
    dom.show("access-words", reason === null ? "" : strings.text(reason));
  }

  function forget() {
    token = null;
    stored((storage) => storage.removeItem(KEY));
  }

  function lock(reason) {
    const news = !locked;
    forget();
    locked = true;
    show(reason);
    if (news) {
      dom.byId("token").focus();
    }
  }

  /* Whether it is a token that an answer wants; those that do say how to bring it. */
  const wantsToken = (response) => [401, 403].includes(response.status)
    && response.headers.has("WWW-Authenticate");

  const wantsCertificate = (response) => response.status === 403 && !wantsToken(response);

  /* As fetch(). An answer that wants a token, or another one, locks the page; but not one to a
   * request that was sent before somebody typed the token that is used now, or that is locked
   * already, and has said why. */
  async function ask(address, options = {}) {
    const used = token;
    const headers = { ...options.headers, ...(used && { Authorization: `Bearer ${used}` }) };
    const response = await fetch(address, { ...options, headers });
    if (wantsToken(response) && used === token && !locked) {
      lock(used === null ? "access.needed"
        : response.status === 401 ? "access.unknown" : "access.lacking");
    }
    return response;
  }

  function onSubmit(event) {
    const typed = dom.byId("token").value.trim();
    event.preventDefault();
    if (!/^[\x21-\x7e]+$/.test(typed)) { // no header could carry it
      show("access.unknown");
      return;
    }
    dom.byId("token").value = "";
    token = typed;
    locked = false;
    stored((storage) => storage.setItem(KEY, typed));
    show(null);
    dom.byId("main").focus();
    onUnlock();
  }

  function onLogOut() {
    forget();
    location.reload(); // so that no figure stays
  }

  /* `unlocked` is called when a token was typed in. */
  function start(unlocked) {
    onUnlock = unlocked;
    token = stored((storage) => storage.getItem(KEY));
    dom.byId("access").addEventListener("submit", onSubmit);
    dom.byId("log-out").addEventListener("click", onLogOut);
    show(null);
  }

  return { start, ask, wantsCertificate, isLocked: () => locked };
})();
