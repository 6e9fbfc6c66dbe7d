from benchmarks.peers import measuring, running


class Voice:
    def __init__(self):
        self.said = []

    def tell(self, text):
        self.said.append(text)


def test_without_peers_there_are_no_figures_and_it_is_said_how_to_get_some(monkeypatch):
    monkeypatch.setattr(running, "find_spec", lambda name: None)
    voice = Voice()
    assert measuring.measure(None, voice, rounds=1, executions=1) == {}
    assert "pip install celery" in voice.said[0]


def test_peers_are_measured_where_they_are_installed(monkeypatch):
    monkeypatch.setattr(running, "find_spec", lambda name: name == "rq" or None)
    assert running.installed() == ["rq"]
