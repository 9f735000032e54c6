import numpy as np
import pytest
import torch
from data_cases import register, save, tiny_arrays, wrong_pixels

from paicore import data
from paicore.data import download, store
from paicore.data.__main__ import main

FETCH = download.fetch  # before the network is taken away


@pytest.fixture(autouse=True)
def tiny(monkeypatch, tmp_path):
    return register(monkeypatch, tmp_path)


def test_a_refused_file_is_never_replaced_by_a_download(tmp_path, monkeypatch):
    (tmp_path / "tiny.npz").write_bytes(b"mine")
    monkeypatch.setattr(download, "fetch", lambda *_: (tiny_arrays(), "net"))
    with pytest.raises(data.DataError, match=r"no \.npz archive"):
        data.load("tiny")
    assert (tmp_path / "tiny.npz").read_bytes() == b"mine"


def test_missing_data_without_network_names_both_remedies(tmp_path):
    with pytest.raises(data.MissingData) as caught:
        data.load("mnist")
    assert isinstance(caught.value, data.DataError)
    assert isinstance(caught.value, FileNotFoundError)
    message = str(caught.value)
    for part in (
        "network is unreachable",
        f"PAICORE_DATA (now: {tmp_path})",
        "train_images (60000, 28, 28, 1)",
        "test_labels (10000,)",
        "python -m paicore.data mnist",
    ):
        assert part in message
    assert list(tmp_path.iterdir()) == []


def test_a_download_is_kept_as_npz_and_used_the_next_time(tmp_path, monkeypatch):
    calls = []

    def fetch(name, scratch):
        calls.append(name)
        (scratch / "raw.tar.gz").write_bytes(b"raw")
        return tiny_arrays(), "the net"

    monkeypatch.setattr(download, "fetch", fetch)
    first, second = data.load("tiny"), data.load("tiny")
    assert calls == ["tiny"] and second.source == "the net"
    assert first.fingerprint == second.fingerprint
    assert [p.name for p in tmp_path.iterdir()] == ["tiny.npz"]


@pytest.mark.parametrize("error", [OSError("reset"), KeyboardInterrupt()])
def test_a_download_that_dies_midway_leaves_nothing(error, tmp_path, monkeypatch):
    def fetch(name, scratch):
        (scratch / "train.gz").write_bytes(b"half of it")
        raise error

    monkeypatch.setattr(download, "fetch", fetch)
    expected = data.MissingData if isinstance(error, OSError) else KeyboardInterrupt
    with pytest.raises(expected):
        data.load("tiny")
    assert list(tmp_path.iterdir()) == [] and not data.available("tiny")


def test_a_write_that_dies_midway_leaves_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr(download, "fetch", lambda *_: (tiny_arrays(), "net"))

    def full(file, arrays, source):
        file.write_bytes(b"PK half an archive")
        raise OSError("no space left on device")

    monkeypatch.setattr(store, "write", full)
    with pytest.raises(data.MissingData, match="no space left"):
        data.load("tiny")
    assert list(tmp_path.iterdir()) == []


def test_a_download_of_wrong_pixels_is_not_kept(tmp_path, monkeypatch):
    arrays = {**tiny_arrays(), "train_images": wrong_pixels()}
    monkeypatch.setattr(download, "fetch", lambda *_: (arrays, "net"))
    with pytest.raises(data.MissingData, match="expected pixels of mean"):
        data.load("tiny")
    assert list(tmp_path.iterdir()) == []


def test_raw_images_of_every_layout_become_nhwc():
    flat, last = np.zeros((4, 5, 6), np.uint8), np.zeros((4, 5, 6, 3), np.uint8)
    first = np.arange(4 * 3 * 30, dtype=np.uint8).reshape(4, 3, 5, 6)
    assert download._images(flat).shape == (4, 5, 6, 1)
    assert download._images(torch.from_numpy(flat)).shape == (4, 5, 6, 1)
    assert download._images(last) is last
    assert np.array_equal(download._images(first)[1, 2, 3], first[1, :, 2, 3])


def test_without_paicore_data_the_users_cache_is_the_folder(monkeypatch, tmp_path):
    monkeypatch.delenv("PAICORE_DATA")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    assert store.path("mnist") == tmp_path / "cache" / "paicore" / "mnist.npz"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert store.folder() == tmp_path / ".cache" / "paicore"


def test_available_says_whether_a_file_is_there_and_knows_the_names(tmp_path):
    assert data.available("digits") and not data.available("tiny")
    save(tmp_path)
    assert data.available("tiny")
    for call in (data.available, data.load):
        with pytest.raises(ValueError, match="expected one of digits, mnist"):
            call("imagenet")


def test_the_command_prints_path_counts_and_source(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("paicore.data.__main__.NAMES", ("digits", "tiny"))
    save(tmp_path)
    assert main(["tiny", "digits"]) == 0
    out = capsys.readouterr().out
    assert str(tmp_path / "tiny.npz") in out and "made here" in out
    assert "40 training and 20 test images" in out
    (tmp_path / "tiny.npz").unlink()
    assert main(["tiny"]) == 1 and "network is unreachable" in capsys.readouterr().err
    assert main([]) == 2 and main(["imagenet"]) == 2


@pytest.mark.parametrize(
    ("name", "images"),
    [
        ("mnist", torch.zeros(4, 5, 5, dtype=torch.uint8)),
        ("cifar100", np.zeros((4, 5, 5, 3), np.uint8)),
        ("svhn", np.zeros((4, 3, 5, 5), np.uint8)),
    ],
)
def test_what_torchvision_returns_becomes_the_four_arrays(
    name, images, tmp_path, monkeypatch
):
    import torchvision

    class Stub:
        """Stands in for a data set class; both names of the labels, as they occur."""

        def __init__(self, root, download, **which):
            assert root == str(tmp_path) and download
            train = which in ({"split": "train"}, {"train": True})
            assert train or which in ({"split": "test"}, {"train": False})
            self.data = images if train else images[:3]
            setattr(self, "labels" if name == "svhn" else "targets", [0, 1, 2, 3])

    assert hasattr(torchvision.datasets, download.CLASSES[name])
    monkeypatch.setattr(torchvision.datasets, download.CLASSES[name], Stub)
    arrays, source = FETCH(name, tmp_path)
    assert arrays["train_images"].shape == (4, 5, 5, 1 if name == "mnist" else 3)
    assert len(arrays["test_images"]) == 3 and "torchvision" in source
    for array in arrays.values():
        assert array.dtype == np.uint8
