"""Networks, ensembles and runs as administrators see and start them."""

from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from django.conf import settings
from django.contrib.auth.models import Permission, User
from django.core.files.base import ContentFile
from django.db import transaction
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from django_tasks_db.models import DBTaskResult

from drcaptcha.challenges.models import Simulation
from drcaptcha.learning.models import Ensemble, Evaluation, Membership, Network, Promotion, Run, Work
from drcaptcha.learning.tasks import SILENCE
from handwriting.alphabet import BALANCED
from handwriting.networks import NAMES

PICTURES = ("architecture_picture", "loss_picture", "accuracy_picture", "confusion_picture")


def file_of(network: Network, name: str) -> str:
    return reverse("admin:learning_network_file", args=[network.pk, name])


def page_of(ensemble: Ensemble) -> str:
    return reverse("admin:learning_ensemble_change", args=[ensemble.pk])


def members_form(*rows: tuple[Network, object], ensemble: Ensemble | None = None, **more: str) -> dict[str, object]:
    """Return what the browser sends: members that are there already come first, with their own numbers."""
    known = {member.network_id: member.pk for member in ensemble.memberships.all()} if ensemble else {}
    data: dict[str, object] = {
        "name": ensemble.name if ensemble else "By hand",
        "pooling": "probability",
        "correction": 0,
        "memberships-TOTAL_FORMS": len(rows),
        "memberships-INITIAL_FORMS": len(known),
        "evaluations-TOTAL_FORMS": 0,
        "evaluations-INITIAL_FORMS": 0,
    }
    for index, (network, weight) in enumerate(rows):
        data[f"memberships-{index}-network"] = network.pk
        data[f"memberships-{index}-weight"] = weight
        data[f"memberships-{index}-id"] = known.get(network.pk, "")
        data[f"memberships-{index}-ensemble"] = ensemble.pk if ensemble else ""
    return data | more


def test_a_network_shows_its_figures_and_pictures(owner: Client, make_network: Callable[..., Network]) -> None:
    network = make_network(accuracy=0.8931)
    page = owner.get(reverse("admin:learning_network_change", args=[network.pk])).content.decode()
    for figure in ("compact", "89.31%", "312,431", "79,100", "11,635", "41.2 s", "128"):
        assert figure in page
    for name in PICTURES:
        assert f'src="{file_of(network, name)}"' in page
    assert "89.31%" in owner.get("/admin/learning/network/").content.decode()


def test_a_networks_files_are_served_to_those_who_may_see_networks(
    reader: Client, newcomer: Client, client: Client, make_network: Callable[..., Network]
) -> None:
    network = make_network()
    answer = reader.get(file_of(network, "loss_picture"))
    assert b"".join(answer) == b"\x89PNG\r\n\x1a\nloss"
    assert answer.headers["Content-Type"] == "image/png"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert "sandbox" in answer.headers["Content-Security-Policy"]
    assert newcomer.get(file_of(network, "loss_picture")).status_code == 403
    assert client.get(file_of(network, "loss_picture")).url.startswith("/admin/login/")


def test_a_networks_onnx_file_is_a_download(reader: Client, make_network: Callable[..., Network]) -> None:
    answer = reader.get(file_of(make_network(), "onnx"))
    assert b"".join(answer) == b"a network"
    assert answer.headers["Content-Disposition"].startswith("attachment; ")


@pytest.mark.parametrize("name", ["folder", "history", "delete", "secret-key"])
def test_no_other_file_is_served(owner: Client, make_network: Callable[..., Network], name: str) -> None:
    assert owner.get(file_of(make_network(), name)).status_code == 404


def test_a_lost_file_is_not_found(owner: Client, make_network: Callable[..., Network]) -> None:
    network = make_network()
    network.loss_picture.delete(save=False)
    Network.objects.filter(pk=network.pk).update(loss_picture="networks/gone/loss.png")
    assert owner.get(file_of(network, "loss_picture")).status_code == 404


def test_saving_an_ensemble_normalises_it_and_has_it_evaluated(
    owner: Client, make_ensemble: Callable[..., Ensemble]
) -> None:
    ensemble = make_ensemble(0.5, 0.5)
    first, second = ensemble.networks.order_by("pk")
    answer = owner.post(page_of(ensemble), members_form((first, 3), (second, 1), ensemble=ensemble), follow=True)
    assert dict(ensemble.memberships.values_list("network", "weight")) == {first.pk: 0.75, second.pk: 0.25}
    run = ensemble.runs.get()
    assert (run.kind, run.state) == ("evaluation", Run.State.QUEUED)
    assert DBTaskResult.objects.get().args_kwargs == {"args": [run.pk], "kwargs": {}}
    assert reverse("admin:learning_run_change", args=[run.pk]) in answer.content.decode()


def test_an_ensemble_can_be_formed_by_hand(owner: Client, make_network: Callable[..., Network]) -> None:
    one, other = make_network(), make_network("slim")
    assert owner.post("/admin/learning/ensemble/add/", members_form((one, 2), (other, 2))).status_code == 302
    ensemble = Ensemble.objects.get(name="By hand")
    assert list(ensemble.memberships.values_list("weight", flat=True)) == [0.5, 0.5]
    assert ensemble.runs.get().kind == "evaluation"


def test_a_new_name_alone_costs_no_evaluation(owner: Client, make_ensemble: Callable[..., Ensemble]) -> None:
    ensemble = make_ensemble(1)
    owner.post(page_of(ensemble), members_form((ensemble.networks.get(), 1.0), ensemble=ensemble, name="Second light"))
    ensemble.refresh_from_db()
    assert ensemble.name == "Second light"
    assert not Run.objects.exists()


def test_another_pooling_is_judged_too(owner: Client, make_ensemble: Callable[..., Ensemble]) -> None:
    ensemble = make_ensemble(1)
    data = members_form((ensemble.networks.get(), 1.0), ensemble=ensemble, pooling="logarithm")
    owner.post(page_of(ensemble), data)
    ensemble.refresh_from_db()
    assert ensemble.pooling == "logarithm"
    assert ensemble.runs.get().kind == "evaluation"


def test_a_member_can_be_removed(owner: Client, make_ensemble: Callable[..., Ensemble]) -> None:
    ensemble = make_ensemble(0.5, 0.5)
    first, second = ensemble.networks.order_by("pk")
    data = members_form((first, 0.5), (second, 0.5), ensemble=ensemble, **{"memberships-1-DELETE": "on"})
    assert owner.post(page_of(ensemble), data).status_code == 302
    assert ensemble.memberships.get().weight == 1


@pytest.mark.parametrize("weight", ["-0.1", "nan", "inf", "much", ""])
def test_it_refuses_a_weight_that_is_none(owner: Client, make_ensemble: Callable[..., Ensemble], weight: str) -> None:
    ensemble = make_ensemble(1)
    network = ensemble.networks.get()
    assert owner.post(page_of(ensemble), members_form((network, weight), ensemble=ensemble)).status_code == 200
    assert ensemble.memberships.get().weight == 1
    assert not Run.objects.exists()


def test_it_refuses_members_that_do_not_fit_together(owner: Client, make_network: Callable[..., Network]) -> None:
    letters, digits = make_network(), make_network(classes="0123456789")

    def refusal(*rows: tuple[Network, object]) -> str:
        return owner.post("/admin/learning/ensemble/add/", members_form(*rows)).content.decode()

    assert "tell different characters apart" in refusal((letters, 1), (digits, 1))
    assert "only once" in refusal((letters, 1), (letters, 1))
    assert "needs a weight above 0" in refusal((letters, 0))
    assert "at least one network" in refusal()
    assert not Ensemble.objects.exists()
    assert not Membership.objects.exists()


def deletion(row: Network | Ensemble) -> str:
    return reverse(f"admin:learning_{row._meta.model_name}_delete", args=[row.pk])


@pytest.fixture
def make_evaluation(now: datetime) -> Callable[..., Evaluation]:
    """Judge an ensemble or a network, with a picture."""

    def make(row: Network | Ensemble) -> Evaluation:
        networks = row.networks.all() if isinstance(row, Ensemble) else [row]
        return Evaluation.objects.create(
            **{row._meta.model_name: row},
            weights={str(network.pk): 1.0 for network in networks},
            created=now,
            test_size=60,
            accuracy=0.9,
            seconds=1,
            reliability_picture=ContentFile(b"picture", "reliability.png"),
        )

    return make


def files() -> list[str]:
    return sorted(path.name for path in Path(settings.MEDIA_ROOT).rglob("*.*"))


@pytest.mark.django_db(transaction=True)
def test_an_ensemble_is_deleted_with_its_files_and_its_networks_stay(
    owner: Client, make_ensemble: Callable[..., Ensemble], make_evaluation: Callable[..., Evaluation]
) -> None:
    ensemble = make_ensemble(1)
    before = files()
    make_evaluation(ensemble)
    assert len(files()) == len(before) + 1
    page = owner.get(deletion(ensemble)).content.decode()
    for phrase in ("Delete First light?", "its evaluations (1)", "Its networks stay"):
        assert phrase in page
    assert owner.post(deletion(ensemble), {"post": "yes"}).status_code == 302
    assert not Ensemble.objects.exists()
    assert not Evaluation.objects.exists()
    assert files() == before
    network = Network.objects.get()
    make_evaluation(network)
    assert "Delete compact" in owner.get(deletion(network)).content.decode()
    assert owner.post(deletion(network), {"post": "yes"}).status_code == 302
    assert files() == []
    assert not (Path(settings.MEDIA_ROOT) / "networks" / network.folder).exists()


@pytest.mark.django_db(transaction=True)
def test_a_deletion_that_comes_to_nothing_leaves_the_files(
    make_network: Callable[..., Network], make_evaluation: Callable[..., Evaluation]
) -> None:
    network = make_network()
    make_evaluation(network)
    before = files()
    with transaction.atomic():
        network.delete()
        transaction.set_rollback(True)
    assert files() == before
    assert Network.objects.exists()


def test_what_an_ensemble_needs_can_not_be_deleted_and_the_page_says_why(
    owner: Client, make_ensemble: Callable[..., Ensemble], make_evaluation: Callable[..., Evaluation], now: datetime
) -> None:
    ensemble = make_ensemble(1, 1)
    judged = make_evaluation(ensemble)
    Promotion.objects.create(
        evaluation=judged, name="First light", classes="".join(BALANCED.classes), reason="first", created=now
    )
    former = ensemble.memberships.latest("pk")
    former.delete()
    rows = [ensemble, *Network.objects.order_by("pk")]
    reasons = ("First light serves", "First light decides, or has decided, with it", "has decided, with it")
    for row, reason in zip(rows, reasons, strict=True):
        for answer in (owner.get(deletion(row)), owner.post(deletion(row), {"post": "yes"})):
            assert answer.status_code == 409
            assert reason in answer.content.decode()
    bulk = {"action": "delete_selected", "_selected_action": [former.network_id], "post": "yes"}
    page = owner.post("/admin/learning/network/", bulk, follow=True).content.decode()
    assert "has decided, with it" in page
    assert (Network.objects.count(), Ensemble.objects.count()) == (2, 1)


def test_networks_that_none_needs_go_together_for_whoever_may(
    owner: Client, reader: Client, make_network: Callable[..., Network]
) -> None:
    rows = [make_network().pk for _ in range(2)]
    assert reader.post(deletion(Network.objects.get(pk=rows[0])), {"post": "yes"}).status_code == 403
    bulk = {"action": "delete_selected", "_selected_action": rows}
    assert "label snapshot" in owner.post("/admin/learning/network/", bulk).content.decode()
    owner.post("/admin/learning/network/", bulk | {"post": "yes"})
    assert not Network.objects.exists()


def test_an_action_evaluates_again(owner: Client, make_ensemble: Callable[..., Ensemble]) -> None:
    ensemble = make_ensemble(1)
    owner.post("/admin/learning/ensemble/", {"action": "evaluate", "_selected_action": [ensemble.pk]})
    assert ensemble.runs.get().kind == "evaluation"


def test_a_reader_can_not_weigh(reader: Client, make_ensemble: Callable[..., Ensemble]) -> None:
    ensemble = make_ensemble(1)
    data = members_form((ensemble.networks.get(), 5), ensemble=ensemble)
    assert reader.get(page_of(ensemble)).status_code == 200
    assert reader.post(page_of(ensemble), data).status_code == 403
    reader.post("/admin/learning/ensemble/", {"action": "evaluate", "_selected_action": [ensemble.pk]})
    assert not Run.objects.exists()


TRAINING = {
    "networks": ["slim", "nn"],
    "epochs": "2",
    "minutes": "",
    "batch_size": "64",
    "subset": "",
    "seed": "5",
    "name": "Evening",
}


def test_a_training_is_queued_and_its_page_opens(owner: Client) -> None:
    assert owner.get("/admin/learning/run/add/").status_code == 200
    answer = owner.post("/admin/learning/run/add/", TRAINING)
    run = Run.objects.get()
    assert answer.url == reverse("admin:learning_run_change", args=[run.pk])
    assert run.kind == "training"
    assert run.options == {
        "networks": ["slim", "nn"], "epochs": 2, "minutes": None, "batch_size": 64, "subset": None, "seed": 5,
        "name": "Evening",
    }  # fmt: skip
    assert DBTaskResult.objects.get().args_kwargs == {"args": [run.pk], "kwargs": {}}


@pytest.mark.training
def test_the_options_are_those_that_a_training_takes(owner: Client) -> None:
    from drcaptcha.learning.experiments import Plan  # noqa: PLC0415 - Loads PyTorch.

    owner.post("/admin/learning/run/add/", TRAINING)
    options = Run.objects.get().options
    plan = Plan(**options | {"networks": tuple(options["networks"])})
    assert (plan.networks, plan.epochs, plan.batch_size, plan.seed) == (("slim", "nn"), 2, 64, 5)


@pytest.mark.parametrize(
    "wrong",
    [{"networks": []}, {"networks": ["gpt"]}, {"epochs": "0"}, {"batch_size": ""}, {"subset": "-1"}, {"minutes": "-1"}],
)
def test_it_refuses_a_training_that_makes_no_sense(owner: Client, wrong: dict[str, object]) -> None:
    assert owner.post("/admin/learning/run/add/", TRAINING | wrong).status_code == 200
    assert not Run.objects.exists()


def test_trainings_that_failed_start_again_with_the_same_options(owner: Client, reader: Client) -> None:
    options = {"networks": ["slim"], "minutes": 2.5}
    failed = Run.objects.create(kind="training", state=Run.State.FAILED, options=options)
    finished = Run.objects.create(kind="training", state=Run.State.FINISHED, options=options)
    chosen = {"action": "start_again", "_selected_action": [failed.pk, finished.pk]}
    reader.post("/admin/learning/run/", chosen)
    assert Run.objects.count() == 2
    owner.post("/admin/learning/run/", chosen)
    again = Run.objects.exclude(pk__in=[failed.pk, finished.pk]).get()
    assert (again.state, again.options) == (Run.State.QUEUED, options)
    assert DBTaskResult.objects.get().args_kwargs == {"args": [again.pk], "kwargs": {}}


def test_every_architecture_is_offered(owner: Client) -> None:
    page = owner.get("/admin/learning/run/add/").content.decode()
    assert all(f'value="{name}"' in page for name in NAMES)


@pytest.mark.parametrize("rights", [[], ["view_run"], ["view_run", "view_network", "change_ensemble"]])
def test_nobody_trains_without_the_right_to(client: Client, db: None, rights: list[str]) -> None:
    user = User.objects.create_user("rosa", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__in=rights))
    client.force_login(user)
    assert client.get("/admin/learning/run/add/").status_code == 403
    assert client.post("/admin/learning/run/add/", TRAINING).status_code == 403
    assert not Run.objects.exists()


def test_a_run_tells_how_far_it_has_come(reader: Client, newcomer: Client, client: Client) -> None:
    run = Run.objects.create(kind="training", state=Run.State.RUNNING, done=0.25, line="slim: epoch 2 of 8")
    address = reverse("admin:learning_run_progress", args=[run.pk])
    answer = reader.get(address)
    assert answer.json() == {
        "state": "running",
        "done": 0.25,
        "line": "slim: epoch 2 of 8",
        "news": "0\xa0minutes",
        "ended": False,
    }
    assert "no-store" in answer.headers["Cache-Control"]
    page = reader.get(reverse("admin:learning_run_change", args=[run.pk])).content.decode()
    assert f'data-progress="{address}"' in page
    assert 'value="0.25"' in page
    assert "administration/progress.js" in page
    assert newcomer.get(address).status_code == 403
    assert client.get(address).url.startswith("/admin/login/")


def test_a_run_that_has_ended_is_followed_no_more_and_leads_to_its_ensemble(
    reader: Client, make_ensemble: Callable[..., Ensemble]
) -> None:
    ensemble = make_ensemble(1)
    run = Run.objects.create(kind="training", state=Run.State.FINISHED, done=1, line="90%", ensemble=ensemble)
    assert reader.get(reverse("admin:learning_run_progress", args=[run.pk])).json()["state"] == "finished"
    page = reader.get(reverse("admin:learning_run_change", args=[run.pk])).content.decode()
    assert "data-progress" not in page
    assert page_of(ensemble) in page


def test_a_run_can_not_be_changed_or_removed(owner: Client, db: None) -> None:
    run = Run.objects.create(kind="training")
    assert owner.post(reverse("admin:learning_run_change", args=[run.pk]), TRAINING).status_code == 403
    assert owner.post(reverse("admin:learning_run_delete", args=[run.pk]), {"post": "yes"}).status_code == 403


@pytest.mark.parametrize("kind", [Run, Simulation])
def test_work_whose_worker_is_gone_is_noticed_by_who_looks(reader: Client, kind: type[Work]) -> None:
    asked = {"kind": "training"} if kind is Run else {"probes": 9, "accept": 0.9, "agreement": 2}
    for address in ("changelist", "change", "progress"):
        row = kind._default_manager.create(state=Work.State.RUNNING, **asked)
        kind._default_manager.filter(pk=row.pk).update(updated=timezone.now() - SILENCE - timedelta(seconds=1))
        name = f"admin:{kind._meta.app_label}_{kind._meta.model_name}_{address}"
        reader.get(reverse(name, args=[] if address == "changelist" else [row.pk]))
        row.refresh_from_db()
        assert row.state == Work.State.FAILED
