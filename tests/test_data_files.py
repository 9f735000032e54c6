import io
import zipfile

import numpy as np
import pytest
import torch
from data_cases import register, save, tiny_arrays, wrong_pixels

from paicore import data
from paicore.data import store


@pytest.fixture(autouse=True)
def tiny(monkeypatch, tmp_path):
    return register(monkeypatch, tmp_path)


def refusal(name="tiny"):
    with pytest.raises(data.DataError) as caught:
        data.load(name)
    assert not isinstance(caught.value, data.MissingData)
    return str(caught.value)


def test_a_file_of_others_loads_with_channels_moved_to_the_front(tmp_path):
    save(tmp_path)
    ds, arrays = data.load("tiny"), tiny_arrays()
    for part in ("train", "test"):
        x, y = getattr(ds, f"{part}_x"), getattr(ds, f"{part}_y")
        assert x.dtype == torch.uint8 and x.is_contiguous() and y.dtype == torch.int64
        assert np.array_equal(x.permute(0, 2, 3, 1), arrays[f"{part}_images"])
        assert np.array_equal(y, arrays[f"{part}_labels"])
    assert ds.source == "made here"


def test_a_written_file_reads_back_equal_and_keeps_its_source(tmp_path, tiny):
    file = tmp_path / "tiny.npz"
    store.write(file, tiny_arrays(), "a test")
    ds = data.load("tiny")
    same = store.assemble(tiny, tiny_arrays(), "other words")
    assert ds.source == "a test" and ds.fingerprint == same.fingerprint
    with np.load(file, allow_pickle=False) as archive:
        assert archive["train_images"].shape == (40, 6, 6, 3)


def test_a_checksum_that_does_not_fit_is_refused(tmp_path, tiny):
    arrays = tiny_arrays()
    store.write(tmp_path / "tiny.npz", arrays, "a test")
    with np.load(tmp_path / "tiny.npz") as archive:
        sums = archive["sha256"]
    # The swapped labels pass every other check.
    arrays["test_labels"] = arrays["test_labels"][::-1].copy()
    save(tmp_path, **arrays, sha256=sums)
    assert "test_labels: the SHA-256" in refusal()


def few_labels():
    return np.minimum(tiny_arrays()["train_labels"], 3)


FOREIGN = {
    "missing key": ({"test_labels": None}, "lacks ['test_labels']"),
    "other names": ({"train_images": None, "x_train": np.zeros(3)}, "lacks"),
    "no source": ({"source": None}, "lacks ['source']"),
    "source no text": ({"source": np.array(3.0)}, "source: expected text"),
    "pickled images": (
        {"train_images": np.array([None, {}], dtype=object)},
        "Object arrays cannot be loaded",
    ),
    "pickled source": ({"source": np.array({}, dtype=object)}, "Object arrays"),
    "float images": (
        {"train_images": tiny_arrays()["train_images"] / np.float32(255)},
        "train_images: expected uint8 (40, 6, 6, 3), got float32",
    ),
    "int64 labels": (
        {"train_labels": tiny_arrays()["train_labels"].astype(np.int64)},
        "train_labels: expected uint8 (40,), got int64",
    ),
    "too few images": (
        {"train_images": tiny_arrays()["train_images"][:39]},
        "got uint8 (39, 6, 6, 3)",
    ),
    "too few labels": (
        {"test_labels": tiny_arrays()["test_labels"][:19]},
        "test_labels: expected uint8 (20,), got uint8 (19,)",
    ),
    "channels first": (
        {"test_images": tiny_arrays()["test_images"].transpose(0, 3, 1, 2)},
        "test_images: expected uint8 (20, 6, 6, 3)",
    ),
    "label too large": (
        {"train_labels": tiny_arrays()["train_labels"] + np.uint8(1)},
        "every label from 0 to 4, got 5 labels from 1 to 5",
    ),
    "class missing": ({"train_labels": few_labels()}, "got 4 labels from 0 to 3"),
    "other pixels": ({"train_images": wrong_pixels()}, "expected pixels of mean"),
    "bad checksums": ({"sha256": np.array("abc")}, "sha256: expected text"),
}


@pytest.mark.parametrize("case", FOREIGN)
def test_a_foreign_file_is_refused_by_name_with_what_is_wrong(case, tmp_path):
    changes, what = FOREIGN[case]
    file = save(tmp_path, **changes)
    message = refusal()
    assert str(file) in message and what in message
    assert "python -m paicore.data tiny" in message and "PAICORE_DATA" in message


@pytest.mark.parametrize(
    "share", [0.0, 0.001, 0.1, 0.35, 0.5, 0.8, 0.9, 0.97, 0.99, 0.999]
)
def test_a_truncated_file_is_refused(share, tmp_path):
    file = save(tmp_path)
    whole = file.read_bytes()
    file.write_bytes(whole[: int(share * len(whole))])
    assert str(file) in refusal()


def test_a_file_cut_at_either_end_of_an_array_is_refused(tmp_path):
    file = save(tmp_path)
    whole = file.read_bytes()
    with zipfile.ZipFile(file) as archive:
        offsets = [entry.header_offset for entry in archive.infolist()]
    for offset in [*offsets, len(whole) - 1]:
        file.write_bytes(whole[:offset])
        assert str(file) in refusal()


def test_one_flipped_byte_of_any_array_is_refused(tmp_path):
    file = save(tmp_path)
    whole = file.read_bytes()
    with zipfile.ZipFile(file) as archive:
        spans = [(e.header_offset, e.file_size) for e in archive.infolist()]
    for start, size in spans:
        place = start + 60 + size // 2  # past the local header, inside the array
        file.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
        assert str(file) in refusal()


@pytest.mark.parametrize(
    "text", [b"", b"not found\n", b"<html>404</html>", b"\x93NUMPY"]
)
def test_something_else_than_an_archive_is_refused(text, tmp_path):
    (tmp_path / "tiny.npz").write_bytes(text)
    assert "no .npz archive" in refusal()


def test_a_single_array_under_the_name_of_an_archive_is_refused(tmp_path):
    stream = io.BytesIO()
    np.save(stream, np.zeros(3))
    (tmp_path / "tiny.npz").write_bytes(stream.getvalue())
    assert "no .npz archive" in refusal()


def test_a_renamed_file_of_another_data_set_is_refused(tmp_path):
    # Same shapes and labels, other pixels: only mean and deviation tell them apart.
    save(tmp_path, train_images=tiny_arrays(seed=1)["train_images"])
    assert "is it another data set?" in refusal()
    save(tmp_path, "mnist")
    assert "expected uint8 (60000, 28, 28, 1)" in refusal("mnist")
