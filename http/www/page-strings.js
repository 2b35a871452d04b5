/*
 * Every text of the page, in English and Chinese, and how figures are written. The language is the
 * first of the browser's that is one of the two, else English. Elements say which text they hold by
 * data-text, data-label (aria-label) or data-title, so that the page stands before any figure does.
 */
"use strict";

const strings = (() => {
  const TEXTS = {
    en: {
      "skip": "Skip to the figures",
      "more": "More",
      "api": "API",
      "instance": "instance",
      "link.connecting": "connecting",
      "link.live": "live",
      "link.stale": "stale",
      "link.crowded": "too many viewers",
      "link.locked": "token needed",
      "link.barred": "certificate needed",
      "link.gone": "server gone",
      "banner.stale": "Redis does not answer in time; the totals are {age} old. The rest is live.",
      "banner.none": "The totals cannot be read from Redis now.",
      "banner.crowded": "Too many viewers; trying again.",
      "banner.barred": "This server wants a client certificate: give the browser one and reload.",
      "banner.gone": "The server is gone; trying again. The last figures came {age} ago.",
      "banner.never": "No figures come from the server; trying again.",
      "announce.live": "The figures are live.",
      "announce.stale": "Redis does not answer: the totals are stale.",
      "announce.crowded": "Too many viewers; trying again.",
      "announce.locked": "The server wants a token.",
      "announce.barred": "The server wants a client certificate.",
      "announce.gone": "The server is gone; trying again.",
      "access.token": "Token",
      "access.enter": "Log in",
      "access.leave": "Log out",
      "access.needed": "This server wants a token with the right to read.",
      "access.unknown": "The server does not know this token, or it was revoked.",
      "access.lacking": "This token lacks the right to read.",
      "now": "Now",
      "total": "Packets in Redis",
      "total.scope": "all instances",
      "devices": "devices:",
      "rate": "Packets per second",
      "rate.scope": "this instance",
      "rate.10s": "over 10 s:",
      "rate.1m": "over 1 min:",
      "history": "Packets per second, last five minutes",
      "history.none": "No figures yet.",
      "history.words": "Lowest {low}, average {mean}, highest {high}.",
      "history.table": "The same as a table",
      "history.caption": "Average of each half minute",
      "history.when": "From",
      "history.ago": "{age} ago",
      "history.now": "now",
      "history.reading": "{age} ago: {rate}",
      "pipeline": "The way of the packets",
      "clients": "Clients",
      "workers": "Workers",
      "pending": "Pending",
      "connections": "connections",
      "streams": "open streams",
      "received": "received per second",
      "in_workers": "not yet handed over",
      "rejected": "rejected",
      "packets_pending": "packets not in Redis",
      "acks_waiting": "Acks that wait",
      "committed": "committed per second",
      "commit_ms": "last commit",
      "stage.unknown": "no figures yet",
      "stage.nobody": "nobody is connected",
      "stage.connected": "connected",
      "stage.flowing": "flowing",
      "stage.idle": "idle",
      "stage.empty": "nothing waits",
      "stage.up": "up",
      "stage.draining": "draining: the server is stopping",
      "stage.refusing": "stuck: new streams are refused",
      "stage.uncut": "stuck: nothing is handed over",
      "stage.uncommitted": "stuck: nothing was committed for {age}",
      "stage.down": "stuck: Redis is down, Acks wait",
      "announce.stuck": "{stage}: {words}.",
      "announce.flowing": "The packets flow again.",
      "busiest": "Busiest devices",
      "busiest.caption": "The busiest devices, refreshed each second",
      "busiest.none": "No figures yet.",
      "busiest.still": "No device gained packets between the last two readings.",
      "nothing.counted": "No device has been counted yet.",
      "order": "Order",
      "order.rate": "by rate",
      "order.count": "by count",
      "rank": "rank",
      "device": "device",
      "count": "count",
      "per_second": "per second",
      "last_minute": "last minute",
      "find": "Find a device",
      "find.caption": "Devices found",
      "find.rows": "{first} to {last}",
      "find.nothing": "No device begins with that.",
      "find.failed": "The server answered {status}: {detail}",
      "find.unreachable": "The server does not answer.",
      "prefix": "id begins with",
      "sort": "order",
      "sort.id": "by id",
      "sort.most": "most packets first",
      "sort.least": "fewest packets first",
      "previous": "Previous",
      "next": "Next",
    },
    zh: {
      "skip": "跳到数据",
      "more": "更多",
      "api": "接口文档",
      "instance": "实例",
      "link.connecting": "正在连接",
      "link.live": "实时",
      "link.stale": "数据已过期",
      "link.crowded": "查看者过多",
      "link.locked": "需要令牌",
      "link.barred": "需要客户端证书",
      "link.gone": "服务器无响应",
      "banner.stale": "Redis 未及时响应：总数是 {age}前的数据。其余数据是实时的。",
      "banner.none": "目前无法从 Redis 读取总数。",
      "banner.crowded": "查看者过多，正在重试。",
      "banner.barred": "此服务器要求提供客户端证书：请在浏览器中导入证书，然后重新加载此页面。",
      "banner.gone": "服务器无响应，正在重试。最近一次数据在 {age}前收到。",
      "banner.never": "没有收到服务器的数据，正在重试。",
      "announce.live": "数据已恢复实时。",
      "announce.stale": "Redis 没有响应：总数已过期。",
      "announce.crowded": "查看者过多，正在重试。",
      "announce.locked": "服务器要求提供令牌。",
      "announce.barred": "服务器要求提供客户端证书。",
      "announce.gone": "服务器无响应，正在重试。",
      "access.token": "令牌",
      "access.enter": "登录",
      "access.leave": "退出登录",
      "access.needed": "此服务器要求提供具有读取权限的令牌。",
      "access.unknown": "服务器不认识此令牌，或者它已被撤销。",
      "access.lacking": "此令牌没有读取权限。",
      "now": "当前",
      "total": "Redis 中的数据包数",
      "total.scope": "全部实例",
      "devices": "设备数：",
      "rate": "每秒数据包数",
      "rate.scope": "本实例",
      "rate.10s": "10 秒平均：",
      "rate.1m": "1 分钟平均：",
      "history": "最近五分钟的每秒数据包数",
      "history.none": "暂无数据。",
      "history.words": "最低 {low}，平均 {mean}，最高 {high}。",
      "history.table": "以表格显示",
      "history.caption": "每半分钟的平均值",
      "history.when": "起始",
      "history.ago": "{age}前",
      "history.now": "现在",
      "history.reading": "{age}前：{rate}",
      "pipeline": "数据包的流向",
      "clients": "客户端",
      "workers": "工作线程",
      "pending": "待提交",
      "connections": "连接数",
      "streams": "打开的流数",
      "received": "每秒接收",
      "in_workers": "尚未移交",
      "rejected": "已拒绝",
      "packets_pending": "未写入 Redis",
      "acks_waiting": "等待中的确认",
      "committed": "每秒提交",
      "commit_ms": "最近一次提交",
      "stage.unknown": "暂无数据",
      "stage.nobody": "没有客户端连接",
      "stage.connected": "已连接",
      "stage.flowing": "正常流动",
      "stage.idle": "空闲",
      "stage.empty": "没有积压",
      "stage.up": "正常",
      "stage.draining": "正在排空：服务器即将停止",
      "stage.refusing": "阻塞：拒绝新的流",
      "stage.uncut": "阻塞：计数没有移交",
      "stage.uncommitted": "阻塞：已有 {age}没有提交",
      "stage.down": "阻塞：Redis 不可用，确认在等待",
      "announce.stuck": "{stage}：{words}。",
      "announce.flowing": "数据包恢复流动。",
      "busiest": "最繁忙的设备",
      "busiest.caption": "最繁忙的设备，每秒更新",
      "busiest.none": "暂无数据。",
      "busiest.still": "最近两次读取之间没有设备增加计数。",
      "nothing.counted": "还没有任何设备的计数。",
      "order": "排序",
      "order.rate": "按速率",
      "order.count": "按计数",
      "rank": "名次",
      "device": "设备",
      "count": "计数",
      "per_second": "每秒",
      "last_minute": "最近一分钟",
      "find": "查找设备",
      "find.caption": "找到的设备",
      "find.rows": "第 {first} 至 {last} 个",
      "find.nothing": "没有以此开头的设备。",
      "find.failed": "服务器返回 {status}：{detail}",
      "find.unreachable": "服务器没有响应。",
      "prefix": "设备 ID 前缀",
      "sort": "排序",
      "sort.id": "按设备 ID",
      "sort.most": "计数从多到少",
      "sort.least": "计数从少到多",
      "previous": "上一页",
      "next": "下一页",
    },
  };

  const NOTHING = "–";
  const language = navigator.languages
    .map((tag) => tag.toLowerCase().split("-")[0])
    .find((tag) => Object.hasOwn(TEXTS, tag)) ?? "en";

  const whole = new Intl.NumberFormat(language, { maximumFractionDigits: 0 });
  const tenths = new Intl.NumberFormat(language, { maximumFractionDigits: 1 });
  const short = new Intl.NumberFormat(language, { notation: "compact", maximumFractionDigits: 1 });

  function unit(name, unitDisplay, maximumFractionDigits = 0) {
    const options = { style: "unit", unit: name, unitDisplay, maximumFractionDigits };
    return new Intl.NumberFormat(language, options);
  }

  const words = language === "zh" ? "short" : "long"; // the long ones are stilted in Chinese
  const seconds = unit("second", words);
  const minutes = unit("minute", words);
  const hours = unit("hour", words);
  const shortMinutes = unit("minute", "short");
  const milliseconds = unit("millisecond", "short", 1);

  function text(key, values = {}) {
    const found = TEXTS[language][key];
    if (found === undefined) {
      throw new Error(`there is no text "${key}"`);
    }
    return found.replace(/\{(\w+)\}/g, (_, name) => values[name]);
  }

  /* A count, or a dash for null; a BigInt is written in full. */
  function count(value) {
    return value === null || value === undefined ? NOTHING : whole.format(value);
  }

  function rate(value) {
    if (value === null || value === undefined) {
      return NOTHING;
    }
    return (value < 100 ? tenths : whole).format(value);
  }

  /* In its two largest units: "90 seconds", "2 minutes 30 seconds", "2 hours 5 minutes". */
  function duration(ms) {
    const total = Math.round(ms / 1000);
    if (total < 120) {
      return seconds.format(total);
    }
    const [large, small, value] = total < 7200
      ? [minutes, seconds, total] : [hours, minutes, Math.round(total / 60)];
    const parts = [large.format(Math.floor(value / 60))];
    if (value % 60 > 0) {
      parts.push(small.format(value % 60));
    }
    return parts.join(language === "zh" ? "" : " ");
  }

  /* Puts the language's texts into the page. */
  function translate() {
    document.documentElement.lang = language === "zh" ? "zh-Hans" : "en";
    for (const element of document.querySelectorAll("[data-text]")) {
      element.textContent = text(element.dataset.text);
    }
    for (const element of document.querySelectorAll("[data-label]")) {
      element.setAttribute("aria-label", text(element.dataset.label));
    }
    for (const element of document.querySelectorAll("[data-title]")) {
      element.title = text(element.dataset.title);
    }
  }

  return {
    TEXTS, text, count, rate, duration, translate,
    short: (value) => short.format(value),
    minutes: (value) => shortMinutes.format(value),
    milliseconds: (value) => milliseconds.format(value),
  };
})();
