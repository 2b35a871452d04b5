/*
 * What all parts of the page need of the document: text set only when it changed, tables whose rows
 * are used again, ids of devices made visible, JSON whose large integers stay exact.
 */
"use strict";

const dom = (() => {
  const byId = (id) => document.getElementById(id);

  function setText(element, text) {
    if (element.textContent !== text) {
      element.textContent = text;
    }
  }

  const show = (id, text) => setText(byId(id), text);

  /* As show(), in letters that fit into one line. */
  function showLarge(id, text) {
    show(id, text);
    byId(id).style.setProperty("--length", text.length);
  }

  /* Tells screen readers; for changes of state only, never for a figure. */
  const announce = (text) => show("announcement", text);

  /* Gives the table body `count` rows; a new one is made by `make`. */
  function resizeRows(body, count, make) {
    while (body.rows.length > count) {
      body.lastElementChild.remove();
    }
    while (body.rows.length < count) {
      body.append(make());
    }
  }

  function cell(className, tag = "td") {
    const element = document.createElement(tag);
    element.className = className;
    return element;
  }

  function row(...cells) {
    const element = document.createElement("tr");
    element.append(...cells);
    return element;
  }

  function deviceCell() {
    const element = cell("device", "th");
    element.scope = "row";
    return element;
  }

  /* An id is any text: a character that would not be seen, or would turn the line around, is shown
   * by its number. */
  function visible(id) {
    return id.replace(/[\p{C}\p{Zl}\p{Zp}]/gu, (c) =>
      `<U+${c.codePointAt(0).toString(16).toUpperCase().padStart(4, "0")}>`);
  }

  /* As JSON.parse(), but an integer past 2^53 is a BigInt, where the browser tells its digits. */
  function parse(json) {
    return JSON.parse(json, (_, value, context) => {
      const large = Number.isInteger(value) && !Number.isSafeInteger(value);
      return large && /^-?\d+$/.test(context?.source ?? "") ? BigInt(context.source) : value;
    });
  }

  return {
    byId, setText, show, showLarge, announce, resizeRows, cell, row, deviceCell, visible, parse,
  };
})();
