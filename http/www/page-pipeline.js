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
  let cutMoved = 0; // when the workers last handed over, or had nothing to hand over
  let commitMoved = 0; // the same for Redis
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
  const cutAt = (figures) => figures.received - figures.in_workers;

  function noteMovement(now, at) {
    if (!before || now.in_workers === 0 || before.in_workers === 0
        || cutAt(now) !== cutAt(before)) {
      cutMoved = at;
    }
    if (!before || now.pending === 0 || now.committed !== before.committed) {
      commitMoved = at;
    }
  }

  /* How much `field` grew a second; null when that cannot be told, as after a restart. */
  function growth(now, field, at) {
    const gained = before ? now[field] - before[field] : -1;
    return gained < 0 || at <= before.at ? null : gained * 1000 / (at - before.at);
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

  /* `now` is an event's "pipeline"; `receivedRate` the rate of the last second; `at` in ms. */
  function update(now, receivedRate, at) {
    noteMovement(now, at);
    const verdicts = {
      clients: judgeClients(now),
      workers: judgeWorkers(now, receivedRate, at),
      pending: judgePending(now, at),
      redis: judgeRedis(now),
    };
    showFigures(now, receivedRate, growth(now, "committed", at));
    for (const stage of STAGES) {
      showVerdict(stage, verdicts[stage]);
    }
    announce(verdicts);
    before = { ...now, at };
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
