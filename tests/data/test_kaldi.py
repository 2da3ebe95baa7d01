"""Hostile and damaged Kaldi tables: nothing is run, nothing huge allocated, every refusal names file and bytes."""

import os
import pickle
import struct

import kaldiio
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sdesgd.data import kaldi
from tests.data.written import fuzz, outcome, refused, speech
from tests.memory import peak_memory

FUZZ = settings(fuzz, max_examples=80)
FEATURES, STATES = speech([3, 5], seed=3)
KINDS = ("features", "alignment")


def ark_bytes(tmp_path, kind):
    path = tmp_path / "made.ark"
    kaldiio.save_ark(str(path), FEATURES if kind == "features" else STATES)
    return path.read_bytes()


def read(folder, kind="features"):
    return kaldi.read_table(folder / "x.scp", folder / "x.ark", kind, (40, 360))


def parsed(content, kind):
    """The table a file of FM matrices or int32 vectors holds, strictly, as an independent oracle; None if it isn't."""
    table = {}
    while content:
        key, blank, content = content.partition(b" ")
        try:
            name = key.decode()
        except UnicodeDecodeError:
            return None
        if not blank or name in table:
            return None
        if kind == "features":
            if content[:6] != b"\0BFM \4" or content[10:11] != b"\4" or len(content) < 15:
                return None
            rows, columns = struct.unpack("<i", content[6:10])[0], struct.unpack("<i", content[11:15])[0]
            if rows < 1 or columns not in (40, 360) or len(content) < 15 + 4 * rows * columns:
                return None
            values = struct.unpack(f"<{rows * columns}f", content[15 : 15 + 4 * rows * columns])
            table[name] = np.array(values, np.float32).reshape(rows, columns)
            if not np.isfinite(table[name]).all():
                return None
            content = content[15 + 4 * rows * columns :]
        else:
            if content[:3] != b"\0B\4" or len(content) < 7:
                return None
            number = struct.unpack("<i", content[3:7])[0]
            if number < 1 or len(content) < 7 + 5 * number:
                return None
            marked = [struct.unpack("<bi", content[7 + 5 * k : 12 + 5 * k]) for k in range(number)]
            if any(mark != 4 for mark, _ in marked):
                return None
            table[name] = np.array([value for _, value in marked], np.int32)
            content = content[7 + 5 * number :]
    return table or None


def right_or_refused(folder, content, kind):
    """What is read is what the oracle reads; what it can't read is refused."""
    (folder / "x.ark").write_bytes(content)
    expected = parsed(content, kind)
    found, message = outcome(lambda: read(folder, kind))
    if message is not None:
        assert str(folder / "x.ark") in message
        assert f"{len(content)} bytes" in message or not content
        # Names that can't be shown on one line are refused, too.
        assert expected is None or not all(name.isprintable() and name for name in expected)
    else:
        assert found is not None
        assert expected is not None
        assert list(found) == list(expected)
        for name, array in found.items():
            np.testing.assert_array_equal(array, expected[name])


def test_the_oracle_reads_what_was_written(tmp_path):
    for kind, table in zip(KINDS, (FEATURES, STATES), strict=True):
        found = parsed(ark_bytes(tmp_path, kind), kind)
        assert found is not None
        assert all((found[name] == table[name]).all() for name in table)


@FUZZ
@given(kind=st.sampled_from(KINDS), share=st.floats(0, 1))
def test_cut_anywhere(tmp_path, kind, share):
    content = ark_bytes(tmp_path, kind)
    right_or_refused(tmp_path, content[: int(share * len(content))], kind)


@FUZZ
@given(kind=st.sampled_from(KINDS), more=st.binary(min_size=1, max_size=50))
def test_lengthened(tmp_path, kind, more):
    right_or_refused(tmp_path, ark_bytes(tmp_path, kind) + more, kind)


@settings(FUZZ, max_examples=200)
@given(kind=st.sampled_from(KINDS), header=st.booleans(), place=st.integers(0, 10**6), value=st.integers(0, 255))
def test_any_byte_changed(tmp_path, kind, header, place, value):
    content = bytearray(ark_bytes(tmp_path, kind))
    content[place % (20 if header else len(content))] = value
    right_or_refused(tmp_path, bytes(content), kind)


@FUZZ
@given(kind=st.sampled_from(KINDS), content=st.binary(max_size=80), marked=st.booleans())
def test_anything_else(tmp_path, kind, content, marked):
    right_or_refused(tmp_path, (b"utt0 \0B" if marked else b"") + content, kind)


@FUZZ
@given(method=st.sampled_from([2, 3, 5]), place=st.integers(0, 10**6), value=st.integers(0, 255), cut=st.booleans())
def test_damaged_compressed_matrices(tmp_path, method, place, value, cut):
    path = tmp_path / "x.ark"
    kaldiio.save_ark(str(path), FEATURES, compression_method=method)
    content = bytearray(path.read_bytes())
    place %= len(content)
    content = content[:place] if cut else content[:place] + bytes([value]) + content[place + 1 :]
    path.write_bytes(content)
    found, message = outcome(lambda: read(tmp_path))
    if message is not None:
        assert str(path) in message
        assert f"{len(content)} bytes" in message or not content
    else:
        assert found is not None
        assert all(array.shape[1] == 40 and np.isfinite(array).all() for array in found.values())


def peak_of_refusal(folder, kind, *words):
    return peak_memory(lambda: refused(lambda: read(folder, kind), folder / "x.ark", *words))


@pytest.mark.parametrize("token", [b"FM ", b"DM ", b"CM ", b"CM2 ", b"CM3 "])
@pytest.mark.parametrize(
    ("rows", "columns"), [(2**31 - 1, 40), (2**31 - 1, 2**31 - 1), (-1, 40), (-1, -40), (3, -40), (0, 40), (3, 0)]
)
def test_impossible_sizes_of_matrices(tmp_path, token, rows, columns):
    plain = token in (b"FM ", b"DM ")
    sizes = struct.pack("<bibi", 4, rows, 4, columns) if plain else struct.pack("<ffii", 0, 1, rows, columns)
    content = b"utt0 \0B" + token + sizes + bytes(1000)
    (tmp_path / "x.ark").write_bytes(content)
    assert peak_of_refusal(tmp_path, "features", f"{len(content)} bytes", "'utt0'") < 2_000_000


@pytest.mark.parametrize("number", [2**31 - 1, 0, -1, -(2**31)])
def test_impossible_lengths_of_vectors(tmp_path, number):
    content = b"utt0 \0B\4" + struct.pack("<i", number) + bytes(1000)
    (tmp_path / "x.ark").write_bytes(content)
    assert peak_of_refusal(tmp_path, "alignment", f"{len(content)} bytes", "'utt0'") < 2_000_000


class Payload:
    """Unpickled, it makes a file."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("by_scp", [False, True])
def test_a_pickle_is_never_opened(tmp_path, kind, by_scp):
    trace = tmp_path / "trace"
    content = b"utt0 PKL" + pickle.dumps(Payload(trace))
    (tmp_path / "x.ark").write_bytes(content)
    if by_scp:
        (tmp_path / "x.scp").write_text("utt0 x.ark:5\n")
    refused(lambda: read(tmp_path, kind), tmp_path / "x.ark", "pickle", f"{len(content)} bytes")
    assert not trace.exists()
    kaldiio.load_mat(f"{tmp_path / 'x.ark'}:5")  # the payload is a real one: kaldiio alone runs it
    assert trace.exists()


@pytest.mark.parametrize(
    ("start", "word"),
    [(b"NPY", "NumPy"), (b"RIFF", "audio"), (b"fLaC", "audio"), (b"AUDIO", "audio"), (b"\x1f\x8b\x08\0\0", "gzip")],
)
def test_other_contents_are_refused(tmp_path, start, word):
    (tmp_path / "x.ark").write_bytes(b"utt0 " + start + bytes(100))
    refused(lambda: read(tmp_path), tmp_path / "x.ark", word, "never opened", f"{105 + len(start)} bytes")


def test_text_archives_are_refused_with_the_remedy(tmp_path):
    for kind, table, remedy in zip(KINDS, (FEATURES, STATES), ("copy-feats", "copy-int-vector"), strict=True):
        kaldiio.save_ark(str(tmp_path / "x.ark"), table, text=True)
        refused(lambda kind=kind: read(tmp_path, kind), tmp_path / "x.ark", "text", remedy)


def test_vectors_where_matrices_belong_and_the_reverse(tmp_path):
    kaldiio.save_ark(str(tmp_path / "x.ark"), STATES)
    refused(lambda: read(tmp_path, "features"), tmp_path / "x.ark", "'utt0'")
    kaldiio.save_ark(str(tmp_path / "x.ark"), FEATURES)
    refused(lambda: read(tmp_path, "alignment"), tmp_path / "x.ark", "'utt0'", "int32")
    kaldiio.save_ark(str(tmp_path / "x.ark"), {"utt0": FEATURES["utt0"][0]})
    refused(lambda: read(tmp_path, "features"), tmp_path / "x.ark", "FV")
    kaldiio.save_ark(str(tmp_path / "x.ark"), {"utt0": FEATURES["utt0"][:, :39]})
    refused(lambda: read(tmp_path, "features"), tmp_path / "x.ark", "3 × 39", "40 or 360")


@pytest.mark.parametrize(
    "form", ["touch {} |", "touch {}|", "| touch {}", "|touch {}", "  touch {}  |  ", "touch {};|", "touch {} |:5"]
)
@pytest.mark.parametrize("kind", KINDS)
def test_commands_are_never_run(tmp_path, form, kind):
    trace = tmp_path / "trace"
    (tmp_path / "x.scp").write_text(f"good x.ark:5\nutt0 {form.format(trace)}\n")
    (tmp_path / "x.ark").write_bytes(ark_bytes(tmp_path, kind))
    refused(lambda: read(tmp_path, kind), tmp_path / "x.scp", "line 2", "commands are never run")
    assert not trace.exists()


@pytest.mark.parametrize(
    ("line", "word"),
    [
        ("utt0 x.ark:5[0:2]", "slice"),
        ("utt0 x.ark.gz:5", "compressed"),
        ("utt0 x.ark", "path:offset"),
        ("utt0 :5", "path:offset"),
        ("utt0 x.ark:-5", "path:offset"),
        ("utt0 x.ark:٥", "path:offset"),
        ("utt0 x.ark:" + "9" * 30, "path:offset"),
        ("utt0", "utterance path:offset"),
        ("utt0 \x07x.ark:5", "utterance path:offset"),
        ("utt0 x.ark:5\nutt0 x.ark:5", "twice"),
    ],
)
def test_scp_lines_that_are_refused(tmp_path, line, word):
    (tmp_path / "x.ark").write_bytes(ark_bytes(tmp_path, "features"))
    (tmp_path / "x.scp").write_text(f"{line}\n")
    refused(lambda: read(tmp_path), tmp_path / "x.scp", "line", word)


@FUZZ
@given(offset=st.integers(0, 2000))
def test_any_offset(tmp_path, offset):
    content = ark_bytes(tmp_path, "features")
    (tmp_path / "x.ark").write_bytes(content)
    (tmp_path / "x.scp").write_text(f"here x.ark:{offset}\n")
    right = {5: "utt0", 5 + 15 + 4 * 120 + 5: "utt1"}
    if offset in right:
        np.testing.assert_array_equal(read(tmp_path)["here"], FEATURES[right[offset]])
    else:
        refused(lambda: read(tmp_path), tmp_path / "x.ark", f"{len(content)} bytes", f"byte {offset}")


@FUZZ
@given(content=st.one_of(st.binary(max_size=100), st.text(max_size=60).map(str.encode)))
def test_scp_garbage(tmp_path, content):
    (tmp_path / "x.scp").write_bytes(content)
    refused(lambda: read(tmp_path), tmp_path)


def test_pipes_devices_folders_and_empty_tables(tmp_path):
    for suffix in ("scp", "ark"):
        path = tmp_path / f"x.{suffix}"
        os.mkfifo(path)
        refused(lambda: read(tmp_path), path, "regular file")
        path.unlink()
        path.mkdir()
        refused(lambda: read(tmp_path), path, "folder")
        path.rmdir()
        path.write_bytes(b"")
        refused(lambda: read(tmp_path), path, "no utterances")
        path.unlink()
    (tmp_path / "zero.ark").symlink_to("/dev/zero")
    for target, word in (
        ("zero.ark", "regular file"),
        ("/dev/zero", "lies outside"),
        ("gone.ark", "does not exist"),
        ("y" * 5000, "can't be read"),
    ):
        (tmp_path / "x.scp").write_text(f"utt0 {target}:0\n")
        refused(lambda: read(tmp_path), target[:20], word)


def test_many_lines_on_one_record_share_it(tmp_path):
    matrix = np.ones((2000, 40), np.float32)
    kaldiio.save_ark(str(tmp_path / "x.ark"), {"utt": matrix})
    (tmp_path / "x.scp").write_text("".join(f"utt{k} x.ark:4\n" for k in range(300)))
    table = read(tmp_path)
    assert len(table) == 300
    assert all((array == matrix).all() for array in table.values())
    assert peak_memory(lambda: read(tmp_path)) < 10 * matrix.nbytes


def test_a_table_is_bounded_as_a_whole(tmp_path, monkeypatch):
    monkeypatch.setattr(kaldi, "_LARGEST_TABLE", 100_000)
    for kind, array in (("features", np.ones((100, 40), np.float32)), ("alignment", np.ones(4000, np.int32))):
        kaldiio.save_ark(str(tmp_path / "x.ark"), {f"utt{k}": array for k in range(7)})
        refused(lambda kind=kind: read(tmp_path, kind), tmp_path / "x.ark", "'utt5'", "100000 bytes")
        kaldiio.save_ark(str(tmp_path / "x.ark"), {f"utt{k}": array for k in range(5)})
        assert len(read(tmp_path, kind)) == 5
        (tmp_path / "x.scp").write_text("".join(f"utt{k} x.ark:5\n" for k in range(6)))
        refused(lambda kind=kind: read(tmp_path, kind), tmp_path / "x.ark", "'utt5'", "100000 bytes")
        (tmp_path / "x.scp").unlink()


def test_records_that_overlap_are_refused(tmp_path):
    """A record within another's numbers: one archive would be read as many times its size."""
    inner = b"\0BFM \4" + struct.pack("<i", 1) + b"\4" + struct.pack("<i", 40) + bytes(160)
    values = np.frombuffer(inner * 40, np.uint8)[: 40 * 175 // 160 * 160]
    outer = b"\0BCM3 " + struct.pack("<ffii", 0.0, 1.0, len(values) // 40, 40) + values.tobytes()
    (tmp_path / "x.ark").write_bytes(outer)
    offsets = [0, *(len(outer) - len(values) + 175 * k for k in range(38))]
    (tmp_path / "x.scp").write_text("".join(f"utt{k} x.ark:{offset}\n" for k, offset in enumerate(offsets)))
    refused(lambda: read(tmp_path), tmp_path / "x.ark", "overlap", "x.scp")
    (tmp_path / "x.scp").write_text("".join(f"utt{k} x.ark:{offset}\n" for k, offset in enumerate(offsets[1:])))
    assert len(read(tmp_path)) == 38


def test_an_scp_file_is_bounded(tmp_path):
    with (tmp_path / "x.scp").open("wb") as file:
        file.truncate(kaldi._LARGEST_SCP + 1)
    assert peak_memory(lambda: refused(lambda: read(tmp_path), tmp_path / "x.scp", "no scp file")) < 2_000_000
