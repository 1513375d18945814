"""Archives that have a list of files for Python and another for torch."""

import io
import struct
import warnings
import zipfile

import pytest
import torch
from loading import refusal
from torch import nn

from tritonforge.sources import zipped

END = struct.Struct("<4s4H2LH")


def packed(files):
    """Write files to an archive; return its parts before the end: the files, and their list."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, data in files.items():
            archive.writestr(zipfile.ZipInfo(name), data)
    whole = buffer.getvalue()
    size, start = END.unpack(whole[-END.size :])[5:7]
    return whole[:start], whole[start : start + size]


def moved(listed, by):
    """Return a list whose files lie elsewhere."""
    found, place = bytearray(listed), 0
    while place < len(listed):
        (start,) = struct.unpack_from("<L", listed, place + 42)
        struct.pack_into("<L", found, place + 42, start + by)
        place += 46 + sum(struct.unpack_from("<3H", listed, place + 28))
    return bytes(found)


def doubled(shown, hidden):
    """Return an archive in which Python finds the files shown, and torch those that are hidden."""
    hidden_data, hidden_list = packed(hidden)
    shown_data, shown_list = packed(shown)
    # Python takes what stands before the list for something put in front, and adds its length.
    front = len(hidden_list) + len(shown_data)
    placed = moved(shown_list, len(hidden_data) + len(hidden_list) - front)
    end = END.pack(
        *(b"PK\5\6", 0, 0, len(shown), len(hidden), len(shown_list), len(hidden_data), 0)
    )
    return hidden_data + hidden_list + shown_data + placed + end


class Plain(nn.Module):
    def forward(self, x: torch.Tensor):
        return x * 2


class Saving(nn.Module):
    def forward(self, x: torch.Tensor):
        torch.save(x, "exploded")
        return x * 2


def files(module, pad=b""):
    buffer = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        torch.jit.save(torch.jit.script(module), buffer)
    with zipfile.ZipFile(buffer) as archive:
        read = {f"net/{each.partition('/')[2]}": archive.read(each) for each in archive.namelist()}
    return {name: data + pad * name.endswith("_id") for name, data in read.items()}


def test_an_archive_of_two_lists_is_not_loaded(tmp_path):
    path = tmp_path / "net.pt"
    path.write_bytes(doubled(files(Plain()), files(Saving(), b"0" * 5000)))
    with zipfile.ZipFile(path) as archive:
        code = [archive.read(each) for each in archive.namelist() if each.endswith(".py")]
        assert code
        assert b"torch.save" not in b"".join(code)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        assert "torch.save" in torch.jit.load(path).code
    assert "its list of files is not where its end says" in str(refusal(path))
    program = path.rename(tmp_path / "net.pt2")
    assert "its list of files is not where its end says" in str(refusal(program))


def test_what_follows_the_end_or_goes_before_the_files_is_refused(tmp_path):
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a", b"1")
    plain = path.read_bytes()
    assert zipped.opened(path).read("a") == b"1"
    for content in (b"front" + plain, plain + b"behind", plain[: -END.size], b"", b"text"):
        path.write_bytes(content)
        with pytest.raises(zipfile.BadZipFile):
            zipped.opened(path)


def test_a_list_as_large_archives_have_it_is_found(tmp_path, monkeypatch):
    monkeypatch.setattr(zipfile, "ZIP_FILECOUNT_LIMIT", 1)
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a", b"1")
        archive.writestr("b", b"2")
    whole = path.read_bytes()
    assert b"PK\x06\x06" in whole
    assert zipped.opened(path).namelist() == ["a", "b"]
    path.write_bytes(b"front" + whole)
    with pytest.raises(zipfile.BadZipFile):
        zipped.opened(path)
