"""deploy/ and the compose file: promtool, a real Prometheus on a real tallyd, the dashboard."""
import json
import re
import shutil
import subprocess
import time
from itertools import combinations

import grpc
import pytest
from harness import grpc_client
from harness.env import ROOT, have, wait_until
from harness.prometheus import Prometheus

DEPLOY = ROOT / "deploy"
PROMETHEUS = DEPLOY / "prometheus"
RULES = sorted((PROMETHEUS / "rules").glob("*.yml"))
RULE_TESTS = sorted((PROMETHEUS / "tests").glob("*.yml"))
DASHBOARD = json.loads((DEPLOY / "grafana/dashboards/tallyd.json").read_text())
PANELS = [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]

# Of tallyd, in an expression: not the names that recording rules make.
METRIC = re.compile(r"(?<![\w:])(?:tallyd|process)_\w+(?![\w:])")


def need(*tools):
    for tool in tools:
        if not have(tool):
            pytest.skip(f"{tool} is not installed (Debian: prometheus, docker-compose)")


def need_yaml():
    return pytest.importorskip("yaml", reason="python3-yaml is not installed")


def promtool(*arguments):
    need("promtool")
    done = subprocess.run(
        ["promtool", *map(str, arguments)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


# The files alone


def test_promtool_accepts_the_configuration_and_the_rules():
    promtool("check", "config", "--lint=all", "--lint-fatal", PROMETHEUS / "prometheus.yml")
    promtool("check", "rules", "--lint=all", "--lint-fatal", *RULES)


def test_alerts_fire_when_they_should_and_only_then():
    promtool("test", "rules", *RULE_TESTS)


def alerts():
    yaml = need_yaml()
    groups = [group for file in RULES for group in yaml.safe_load(file.read_text())["groups"]]
    return [rule for group in groups for rule in group["rules"] if "alert" in rule]


def test_every_alert_is_explained_listed_and_tested():
    listed = (DEPLOY / "README.md").read_text()
    tested = "".join(file.read_text() for file in RULE_TESTS)
    for alert in alerts():
        name, severity = alert["alert"], alert["labels"]["severity"]
        assert set(alert["annotations"]) == {"summary", "description"}, name
        assert re.search(rf"^\| {name} \|.*\| {severity} \|$", listed, re.MULTILINE), name
        assert f'alertname="{name}"' in tested or f"alertname: {name}" in tested, name


def test_both_lists_of_targets_have_one_form():
    yaml = need_yaml()
    for directory, port in (("targets", "127.0.0.1:8000"), ("targets-compose", "tallyd:8000")):
        groups = yaml.safe_load((PROMETHEUS / directory / "tallyd.yml").read_text())
        assert groups == [{"targets": [port]}]


# Grafana's files


def overlap(one, other):
    a, b = one["gridPos"], other["gridPos"]
    beside = a["x"] + a["w"] <= b["x"] or b["x"] + b["w"] <= a["x"]
    above = a["y"] + a["h"] <= b["y"] or b["y"] + b["h"] <= a["y"]
    return not (beside or above)


def test_dashboard_panels_are_told_apart_and_do_not_overlap():
    everything = DASHBOARD["panels"]
    assert DASHBOARD["schemaVersion"] >= 36  # data sources by uid
    ids = [panel["id"] for panel in everything]
    assert len(set(ids)) == len(ids)
    titles = [panel["title"] for panel in everything]
    assert len(set(titles)) == len(titles)
    assert not [(a["title"], b["title"]) for a, b in combinations(everything, 2) if overlap(a, b)]
    for panel in everything:
        position = panel["gridPos"]
        assert position["x"] >= 0 and position["x"] + position["w"] <= 24, panel["title"]


def test_each_panel_has_a_description_a_unit_and_its_targets():
    for panel in PANELS:
        assert panel["description"][-1] in ".?", panel["title"]
        assert panel["fieldConfig"]["defaults"]["unit"], panel["title"]
        references = [target["refId"] for target in panel["targets"]]
        assert references and len(set(references)) == len(references), panel["title"]


def data_sources(part):
    """Every data source that some part of the dashboard names."""
    if isinstance(part, dict):
        found = [part["datasource"]["uid"]] if "datasource" in part else []
        return found + [uid for value in part.values() for uid in data_sources(value)]
    if isinstance(part, list):
        return [uid for value in part for uid in data_sources(value)]
    return []


def test_dashboard_asks_the_data_source_that_is_provisioned():
    yaml = need_yaml()
    provisioning = DEPLOY / "grafana/provisioning"
    [source] = yaml.safe_load((provisioning / "datasources/prometheus.yml").read_text())[
        "datasources"
    ]
    assert set(data_sources(DASHBOARD)) == {source["uid"]}
    configuration = yaml.safe_load((PROMETHEUS / "prometheus.yml").read_text())
    assert source["jsonData"]["timeInterval"] == configuration["global"]["scrape_interval"]


# The compose file


def compose_command():
    """The compose there is: Docker's plug-in, or the program of its own."""
    for command in (["docker", "compose"], ["docker-compose"]):
        version = [*command, "version"]
        if have(command[0]) and not subprocess.run(version, capture_output=True).returncode:
            return command
    return pytest.skip("neither docker compose nor docker-compose is installed")


def compose_services(*arguments):
    """The services as compose reads them."""
    yaml = need_yaml()
    done = subprocess.run(
        [*compose_command(), *arguments, "config"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return yaml.safe_load(done.stdout)["services"]


def test_monitoring_is_a_profile_of_the_compose_file():
    services = compose_services("--profile", "monitoring")
    profiles = {name: service.get("profiles") for name, service in services.items()}
    monitoring = ["monitoring"]
    assert profiles == {
        "redis-users": None,
        "redis": None,
        "tallyd": None,
        "prometheus": monitoring,
        "grafana": monitoring,
    }
    plain = compose_services()  # the older compose shows the others here too, and starts them not
    assert {name for name in plain if not profiles[name]} == {"redis-users", "redis", "tallyd"}


def test_compose_closes_its_containers():
    """What tests/container sees on a running engine, for all of them."""
    for name, service in compose_services("--profile", "monitoring").items():
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert service.get("read_only") or name == "grafana", name
        assert not service.get("privileged") and not service.get("cap_add"), name
    assert "ports" not in compose_services()["redis"]


def test_compose_pins_images_and_publishes_to_this_machine_only():
    yaml = need_yaml()
    services = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]
    for name in ("prometheus", "grafana"):
        assert re.fullmatch(r"\w+/\w+:v?\d+\.\d+\.\d+", services[name]["image"])
        assert all(port.startswith("127.0.0.1:") for port in services[name]["ports"])


def mounts(service):
    """A container's paths: what of the project is mounted there."""
    volumes = [volume.split(":") for volume in service["volumes"]]
    binds = [volume for volume in volumes if volume[0].startswith("./")]
    assert all(volume[2:] == ["ro"] for volume in binds), "configuration is mounted read-only"
    return {volume[1]: ROOT / volume[0] for volume in binds}


def test_compose_mounts_what_the_configurations_name():
    yaml = need_yaml()
    services = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]
    prometheus, grafana = mounts(services["prometheus"]), mounts(services["grafana"])
    assert all(path.exists() for path in [*prometheus.values(), *grafana.values()])

    assert "--config.file=/etc/prometheus/prometheus.yml" in services["prometheus"]["command"]
    configuration = yaml.safe_load(prometheus["/etc/prometheus/prometheus.yml"].read_text())
    [scrape] = configuration["scrape_configs"]
    [targets] = scrape["file_sd_configs"][0]["files"]
    for pattern in [*configuration["rule_files"], targets]:
        directory, files = pattern.split("/")
        assert list(prometheus[f"/etc/prometheus/{directory}"].glob(files)), pattern

    provisioning = grafana["/etc/grafana/provisioning"]
    [provider] = yaml.safe_load((provisioning / "dashboards/tallyd.yml").read_text())["providers"]
    home = services["grafana"]["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"]
    directory, _, file = home.rpartition("/")
    assert provider["options"]["path"] == directory
    assert (grafana[directory] / file).exists()


# A real Prometheus on a real tallyd


class Monitoring(Prometheus):
    """Prometheus with the project's configuration; it asks each second instead of every five, so
    that the test need not wait so long."""

    def __init__(self, directory, target):
        super().__init__(directory)
        shutil.copytree(PROMETHEUS, directory)
        (directory / "targets/tallyd.yml").write_text(f"- targets: ['{target}']\n")
        file = directory / "prometheus.yml"
        text, changes = re.subn(r"(?m)^( +\w+_interval:) 5s$", r"\1 1s", file.read_text())
        assert changes == 2
        file.write_text(text)

    def value(self, expression):
        """The value of the one sample that there must be."""
        [(_, value)] = self.query(expression)
        return value

    def rules(self, kind):
        groups = self.ask("rules", type=kind)["groups"]
        return [rule for group in groups for rule in group["rules"]]

    def firing(self):
        """The alerts that fire: name to alert."""
        alerts = [alert for alert in self.ask("alerts")["alerts"] if alert["state"] == "firing"]
        return {alert["labels"]["alertname"]: alert for alert in alerts}


@pytest.fixture
def start_prometheus(tmp_path, closing):
    need("prometheus")

    def start(tallyd):
        target = f"127.0.0.1:{tallyd.http_port}"
        return closing(Monitoring(tmp_path / "prometheus", target)).start()

    return start


def start_load(tallyd, start_sender, seconds):
    """Packets for so many seconds, in streams that end and begin."""
    rate = 20_000
    return start_sender(
        tallyd.target,
        n=rate * seconds,
        rate=rate,
        devices=50,
        connections=4,
        packets_per_stream=1000,
    )


def wait_for_scrapes(prometheus, count):
    """Until Prometheus holds so many good scrapes, and has evaluated the rules on them."""

    def enough():
        rows = prometheus.query('sum_over_time(up{job="tallyd"}[10m])')
        return rows and rows[0][1] >= count

    wait_until(enough, f"{count} scrapes; {prometheus.ask('targets')}")
    time.sleep(2)


def panel_queries():
    """(title, expression, labels that its legend names), as Grafana would send them."""
    for panel in PANELS:
        for target in panel["targets"]:
            expression = target["expr"].replace("$__rate_interval", "10s")
            expression = expression.replace("$instance", ".*")
            assert "$" not in expression
            yield panel["title"], expression, set(re.findall(r"{{(\w+)}}", target["legendFormat"]))


def assert_rules_work(prometheus):
    rules = prometheus.rules("record") + prometheus.rules("alert")
    assert len(rules) >= 20
    for rule in rules:
        assert rule["health"] == "ok" and not rule.get("lastError"), rule
        prometheus.query(rule["query"])
    for rule in prometheus.rules("record"):
        assert prometheus.query(rule["name"]), f"{rule['name']} has no data"


def assert_metrics_exist(prometheus):
    """Also those of alerts, which find nothing as long as all is well."""
    known = set(prometheus.ask("label/__name__/values"))
    expressions = [rule["query"] for rule in prometheus.rules("alert")]
    expressions += [rule["query"] for rule in prometheus.rules("record")]
    expressions += [expression for _, expression, _ in panel_queries()]
    used = {name for expression in expressions for name in METRIC.findall(expression)}
    assert len(used) >= 50
    assert used <= known, f"no such metrics: {sorted(used - known)}"


def assert_panels_have_data(prometheus):
    empty = [(title, e) for title, e, _ in panel_queries() if not prometheus.query(e)]
    assert not empty
    for title, expression, labels in panel_queries():
        for found, _ in prometheus.query(expression):
            assert labels <= set(found), f"{title}: {expression}: {found}"


def assert_balanced_in_each_scrape(prometheus, scrapes):
    """P3, as Prometheus saw it while packets flowed."""
    unaccounted = "instance:tallyd_packets_unaccounted"
    assert prometheus.value(f"count_over_time({unaccounted}[10m])") >= scrapes
    assert prometheus.value(f"max_over_time({unaccounted}[10m])") == 0
    assert prometheus.value(f"min_over_time({unaccounted}[10m])") == 0
    assert not prometheus.query('max_over_time(ALERTS{alertname="TallydPacketsUnaccounted"}[10m])')


def test_rules_and_panels_find_their_data_and_the_balance_holds(
    redis, start_tallyd, start_sender, start_prometheus
):
    tallyd = start_tallyd(redis.port, prom_devices=5)
    prometheus = start_prometheus(tallyd)
    load = start_load(tallyd, start_sender, 20)
    tallyd.metrics()  # a snapshot, and answers to count
    wait_for_scrapes(prometheus, 3)
    with pytest.raises(grpc.RpcError):
        grpc_client.send(tallyd.target, ["counted", "", "never looked at"])
    wait_for_scrapes(prometheus, 12)
    assert prometheus.value("instance:tallyd_packets_arrived:rate1m") > 0
    assert prometheus.value("instance:tallyd_packets_rejected:ratio_rate5m") > 0
    [(labels, _)] = prometheus.query("tallyd_instance_info")
    assert labels["exported_instance"] == tallyd.options["instance"]
    assert_rules_work(prometheus)
    assert_metrics_exist(prometheus)
    assert_panels_have_data(prometheus)
    assert prometheus.value("changes(tallyd_packets_received_total[10m])") >= 8
    assert_balanced_in_each_scrape(prometheus, 10)
    assert prometheus.firing() == {}
    assert load.wait() == 0


def test_the_alert_for_redis_fires_when_redis_is_killed_and_goes_when_it_is_back(
    start_redis, start_tallyd, start_sender, start_prometheus
):
    redis = start_redis(appendfsync="always")
    tallyd = start_tallyd(redis.port, redis_grace_ms=60_000)
    prometheus = start_prometheus(tallyd)
    load = start_load(tallyd, start_sender, 30)
    wait_for_scrapes(prometheus, 3)
    redis.kill()
    fired = wait_until(prometheus.firing, "an alert to fire")
    assert set(fired) == {"TallydRedisDown"}
    alert = fired["TallydRedisDown"]
    assert str(tallyd.http_port) in alert["annotations"]["summary"]
    assert "<error" not in str(alert["annotations"])
    assert prometheus.value("instance:tallyd_packets_uncommitted") > 0

    redis.start()
    wait_until(lambda: not prometheus.firing(), "the alert to go")
    assert load.wait() == 0
    everything = sum(load.acknowledged().values())
    committed = "tallyd_packets_committed_total"
    wait_until(lambda: prometheus.value(committed) == everything, "all to be committed")
    assert_balanced_in_each_scrape(prometheus, 15)
