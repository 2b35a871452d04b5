/*
 * Clients -> workers -> pending -> Redis: the figures of each stage, and a verdict on it. A stage
 * is stuck when what is before it does not move on; that needs the figures of the seconds before.
 */
"use strict";

const pipeline = (() => {
  const STUCK_MS = 2000;
  const MARKS = { good: "✓", idle: "–", unknown: "–", warning: "!", stuck: "✕" };
  const STAGES = ["clients", "workers", "pending", "redis"];

  let before = null; // the last figures, with the time they came
  let cutMoved = 0; // when the workers last handed over, had nothing to, or had to wait their turn
  let commitMoved = 0; // when Redis last took something, or had nothing to take
  let wasStuck = false;

  const verdict = (state, key, values) => ({ state, words: strings.text(key, values) });

  function judgeClients(now) {
    return now.connections === 0 ? verdict("idle", "stage.nobody")
      : verdict("good", "stage.connected");
  }

  function judgeWorkers(now, rate, at) {
    if (now.draining) {
      return verdict("warning", "stage.draining");
    }
    if (!now.accepting) {
      return verdict("stuck", "stage.refusing");
    }
    if (at - cutMoved >= STUCK_MS) {
      return verdict("stuck", "stage.uncut");
    }
    return rate > 0 ? verdict("good", "stage.flowing") : verdict("idle", "stage.idle");
  }

  function judgePending(now, at) {
    const age = at - commitMoved;
    if (age >= STUCK_MS) {
      return verdict("stuck", "stage.uncommitted", { age: strings.duration(age) });
    }
    return now.pending > 0 ? verdict("good", "stage.flowing") : verdict("idle", "stage.empty");
  }

  function judgeRedis(now) {
    return now.redis_up ? verdict("good", "stage.up") : verdict("stuck", "stage.down");
  }

  /* What had been received when the workers last handed over. */
  const cutAt = (figures) => Number(figures.received) - Number(figures.in_workers);

  /* Workers hand over when the last cut is committed, all of it: until then they wait by design,
   * and are not stuck as long as the commit goes on. */
  function noteMovement(now, at) {
    const commits = !before || now.committed !== before.committed;
    if (commits || now.in_workers === 0 || before.in_workers === 0
        || cutAt(now) !== cutAt(before)) {
      cutMoved = at;
    }
    if (commits || now.pending === 0 || before.pending === 0) {
      commitMoved = at;
    }
  }

  /* The ms since the figures before, by the server's clock if it told both times: an event may
   * come late, and the next one right behind it. */
  function elapsed(at, renderedAt) {
    return renderedAt === null || before.renderedAt === null
      ? at - before.at : renderedAt - before.renderedAt;
  }

  /* How much was committed a second; null when that cannot be told, as after a restart. */
  function commitRate(now, at, renderedAt) {
    const gained = before ? Number(now.committed) - Number(before.committed) : -1;
    const ms = before ? elapsed(at, renderedAt) : 0;
    return gained < 0 || ms <= 0 ? null : gained * 1000 / ms;
  }

  function showFigures(now, received, committed) {
    dom.show("connections", strings.count(now.connections));
    dom.show("streams", strings.count(now.streams));
    dom.show("received", strings.rate(received));
    dom.show("in-workers", strings.count(now.in_workers));
    dom.show("rejected", strings.count(now.rejected));
    dom.show("pending", strings.count(now.pending));
    dom.show("acks-waiting", strings.count(now.acks_waiting));
    dom.show("committed", strings.rate(committed));
    dom.show("commit-ms", strings.milliseconds(now.commit_ms));
  }

  function showVerdict(stage, { state, words }) {
    const element = dom.byId(`stage-${stage}`);
    element.dataset.state = state;
    dom.setText(element.querySelector(".mark"), MARKS[state]);
    dom.setText(element.querySelector(".words"), words);
  }

  /* Says which stage got stuck, the last of them first since it holds up the others. */
  function announce(verdicts) {
    const stuck = STAGES.findLast((stage) => verdicts[stage].state === "stuck");
    if (stuck && !wasStuck) {
      const name = dom.byId(`stage-${stuck}`).querySelector("h3").textContent;
      dom.announce(strings.text("announce.stuck", { stage: name, words: verdicts[stuck].words }));
    } else if (!stuck && wasStuck) {
      dom.announce(strings.text("announce.flowing"));
    }
    wasStuck = stuck !== undefined;
  }

  /* `now` is an event's "pipeline"; `receivedRate` the rate of the last second; `at`, when it came,
   * and `renderedAt`, when it was rendered by the server's clock (null: not known), are in ms. */
  function update(now, receivedRate, at, renderedAt) {
    noteMovement(now, at);
    const verdicts = {
      clients: judgeClients(now),
      workers: judgeWorkers(now, receivedRate, at),
      pending: judgePending(now, at),
      redis: judgeRedis(now),
    };
    showFigures(now, receivedRate, commitRate(now, at, renderedAt));
    for (const stage of STAGES) {
      showVerdict(stage, verdicts[stage]);
    }
    announce(verdicts);
    before = { ...now, at, renderedAt };
  }

  /* Nothing is known while the server is gone; the figures that stand are the last ones. */
  function forget() {
    before = null;
    wasStuck = false;
    for (const stage of STAGES) {
      showVerdict(stage, verdict("unknown", "stage.unknown"));
    }
  }

  return { update, forget };
})();
