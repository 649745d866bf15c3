"""A small Kafka client of bytes: just enough requests to see what a broker holds, with nothing between the test and the
answer. Records come back as the batches lie on disk, so that two brokers' answers can be compared byte for byte."""
import ctypes, socket, struct

from kafka.record.default_records import DefaultRecordBatchBuilder
from kafka.record.legacy_records import LegacyRecordBatchBuilder

CODECS = {"none": 0, "gzip": 1, "snappy": 2, "lz4": 3, "zstd": 4}


class Reader:
    def __init__(self, data):
        self.data, self.at = data, 0

    def take(self, form):
        values = struct.unpack_from(">" + form, self.data, self.at)
        self.at += struct.calcsize(">" + form)
        return values[0] if len(values) == 1 else values

    def raw(self, size):
        self.at += size
        return self.data[self.at - size:self.at]

    def string(self):
        size = self.take("h")
        return None if size < 0 else self.raw(size).decode()

    def bytes(self):
        size = self.take("i")
        return None if size < 0 else self.raw(size)

    def array(self, one):
        return [one() for _ in range(max(0, self.take("i")))]

    def uvarint(self):
        value = shift = 0
        while True:
            byte = self.raw(1)[0]
            value |= (byte & 127) << shift
            if byte < 128:
                return value
            shift += 7

    def compact_string(self):
        size = self.uvarint()
        return None if size == 0 else self.raw(size - 1).decode()

    def compact_array(self, one):
        return [one() for _ in range(max(0, self.uvarint() - 1))]

    def tags(self):
        for _ in range(self.uvarint()):
            self.uvarint()
            self.raw(self.uvarint())


def string(text):
    return b"\xff\xff" if text is None else struct.pack(">h", len(text.encode())) + text.encode()


def array(items):
    return struct.pack(">i", len(items)) + b"".join(items)


class Wire:
    """One connection; a broken one is an OSError."""

    def __init__(self, bootstrap, timeout=30):
        host, port = bootstrap.rsplit(":", 1)
        self.socket = socket.create_connection((host, int(port)), timeout)
        self.correlation = 0

    def close(self):
        self.socket.close()

    def _exactly(self, count):
        parts, have = [], 0
        while have < count:
            more = self.socket.recv(min(count - have, 1 << 20))
            if not more:
                raise OSError("closed")
            parts.append(more)
            have += len(more)
        return b"".join(parts)

    def ask(self, api, version, body, flexible=False):
        self.correlation += 1
        frame = struct.pack(">hhi", api, version, self.correlation) + string("wire") + (b"\0" if flexible else b"") + body
        self.socket.sendall(struct.pack(">i", len(frame)) + frame)
        reader = Reader(self._exactly(struct.unpack(">i", self._exactly(4))[0]))
        assert reader.take("i") == self.correlation
        if flexible:
            reader.tags()
        return reader

    # ---------------------------------------------------------------- what a partition holds
    def _one(self, topic, partition, rest):
        return array([string(topic) + array([struct.pack(">i", partition) + rest])])

    def fetch(self, topic, partition, offset, committed=False, max_bytes=1 << 20):
        """(error, hw, lso, log_start, aborted transactions, bytes) of a Fetch v11 at once."""
        r = self.ask(1, 11, struct.pack(">iiiibii", -1, 0, 0, max_bytes, committed, 0, -1) +
                     self._one(topic, partition, struct.pack(">iqqi", -1, offset, -1, max_bytes)) + array([]) + string(""))
        throttle, error, session, topics = r.take("ihii")
        r.string()
        r.take("i")
        index, error, hw, lso, start = r.take("ihqqq")
        aborted = r.array(lambda: r.take("qq"))
        r.take("i")
        return error, hw, lso, start, aborted, r.bytes() or b""

    def offset_at(self, topic, partition, timestamp):
        """(error, timestamp, offset, leader epoch) of ListOffsets v7; -1 latest, -2 earliest, -3 of the largest timestamp."""
        name = topic.encode()
        r = self.ask(2, 7, struct.pack(">ib", -1, 0) + bytes([2, len(name) + 1]) + name + b"\2" +
                     struct.pack(">iiq", partition, -1, timestamp) + b"\0\0\0", flexible=True)
        r.take("i")
        assert r.uvarint() == 2
        r.compact_string()
        assert r.uvarint() == 2
        return r.take("ihqqi")[1:]

    def epoch_end(self, topic, partition, epoch):
        """(error, epoch, end offset) of OffsetForLeaderEpoch v3."""
        r = self.ask(23, 3, struct.pack(">i", -2) + self._one(topic, partition, struct.pack(">ii", -1, epoch)))
        r.take("ii")
        r.string()
        r.take("i")
        error, _, found, end = r.take("hiiq")
        return error, found, end

    def producers(self, topic, partition):
        """DescribeProducers v0: (producer id, epoch, last sequence, last timestamp, coordinator epoch, open since)."""
        name = topic.encode()
        r = self.ask(61, 0, bytes([2, len(name) + 1]) + name + b"\2" + struct.pack(">i", partition) + b"\0\0", flexible=True)
        r.take("i")
        assert r.uvarint() == 2
        r.compact_string()
        assert r.uvarint() == 2
        index, error = r.take("ih")
        r.compact_string()

        def producer():
            found = r.take("qiiqiq")
            r.tags()
            return found

        return error, sorted(r.compact_array(producer))

    # ---------------------------------------------------------------- groups
    def coordinator(self, name, kind=0):
        """The error of FindCoordinator v1; kind 1: of a transactional id."""
        return self.ask(10, 1, string(name) + bytes([kind])).take("ih")[1]

    def committed(self, group):
        """{(topic, partition): (offset, leader epoch, metadata)} of OffsetFetch v5, or the error."""
        r = self.ask(9, 5, string(group) + struct.pack(">i", -1))
        r.take("i")
        found = {}

        def topic():
            name = r.string()
            for _ in range(r.take("i")):
                index, offset, epoch = r.take("iqi")
                found[name, index] = (offset, epoch, r.string())
                assert r.take("h") == 0

        r.array(topic)
        error = r.take("h")
        return error or found

    def group(self, name):
        """DescribeGroups v3: (error, state, protocol type, protocol, members)."""
        r = self.ask(15, 3, array([string(name)]) + b"\0")
        r.take("ii")
        error = r.take("h")
        r.string()
        head = (error, r.string(), r.string(), r.string())
        return head + (sorted(r.array(lambda: (r.string(), r.string(), r.string(), r.bytes(), r.bytes()))),)

    def commit(self, group, offsets):
        r = self.ask(8, 7, string(group) + struct.pack(">i", -1) + string("") + string(None) +
                     array([string(t) + array([struct.pack(">iqi", p, offset, epoch) + string(metadata)])
                            for (t, p), (offset, epoch, metadata) in offsets.items()]))
        r.take("i")
        for name, parts in r.array(lambda: (r.string(), r.array(lambda: r.take("ih")))):
            assert all(error == 0 for _, error in parts), (group, name, parts)

    # ---------------------------------------------------------------- writing
    def create(self, topic, partitions=1, config=None, replication=1):
        r = self.ask(19, 4, array([string(topic) + struct.pack(">ih", partitions, replication) + array([]) +
                                   array([string(k) + string(v) for k, v in (config or {}).items()])]) + struct.pack(">ib", 30000, 0))
        r.take("ii")
        r.string()
        error, text = r.take("h"), r.string()
        assert error == 0, (topic, error, text)

    def produce(self, topic, partition, records, version=7, acks=-1):
        """(error, base offset)."""
        r = self.ask(0, version, (string(None) if version >= 3 else b"") + struct.pack(">hi", acks, 30000) +
                     self._one(topic, partition, struct.pack(">i", len(records)) + records))
        r.take("i")
        r.string()
        r.take("i")
        return r.take("ihq")[1:]

    def produce_txn(self, txn, topic, partition, records):
        r = self.ask(0, 7, string(txn) + struct.pack(">hi", -1, 30000) + self._one(topic, partition, struct.pack(">i", len(records)) + records))
        r.take("i")
        r.string()
        r.take("i")
        return r.take("ihq")[1:]

    def init_producer(self, txn=None, timeout_ms=600000):
        """(error, producer id, epoch)."""
        return self.ask(22, 1, string(txn) + struct.pack(">i", timeout_ms)).take("ihqh")[1:]

    def add_to_txn(self, txn, producer, topic, partition):
        r = self.ask(24, 0, string(txn) + struct.pack(">qh", *producer) + array([string(topic) + array([struct.pack(">i", partition)])]))
        r.take("ii")
        r.string()
        r.take("i")
        return r.take("ih")[1]

    def end_txn(self, txn, producer, commit):
        return self.ask(26, 0, string(txn) + struct.pack(">qhb", *producer, commit)).take("ih")[1]

    def delete_records(self, topic, partition, before):
        r = self.ask(21, 1, self._one(topic, partition, struct.pack(">q", before)) + struct.pack(">i", 30000))
        r.take("ii")
        r.string()
        r.take("i")
        index, low, error = r.take("iqh")
        assert error == 0, error
        return low


# ---------------------------------------------------------------- batches

def zstd(data):
    lib = ctypes.CDLL("libzstd.so.1")
    lib.ZSTD_compressBound.restype = lib.ZSTD_compress.restype = ctypes.c_size_t
    out = ctypes.create_string_buffer(lib.ZSTD_compressBound(ctypes.c_size_t(len(data))))
    size = lib.ZSTD_compress(out, ctypes.c_size_t(len(out)), data, ctypes.c_size_t(len(data)), 3)
    return out.raw[:size]


def batch(records, codec="none", producer=(-1, -1), sequence=-1, transactional=False):
    """Magic 2 from [(timestamp, key, value, headers)]."""
    builder = DefaultRecordBatchBuilder(2, CODECS[codec] if codec != "zstd" else 0, transactional, *producer, sequence, 1 << 30)
    for i, (timestamp, key, value, headers) in enumerate(records):
        builder.append(i, timestamp, key, value, headers)
    made = bytes(builder.build())
    if codec == "zstd":
        from kafka.record.util import calc_crc32c
        made = made[:8] + struct.pack(">i", 49 + len(zstd(made[61:]))) + made[12:21] + struct.pack(">h", made[22] | 4) + made[23:61] + zstd(made[61:])
        made = made[:17] + struct.pack(">I", calc_crc32c(made[21:])) + made[21:]
    return made


def legacy_batch(records, magic, codec="none"):
    """A message set of magic 0 or 1 from [(timestamp, key, value, headers)]; headers are left out."""
    builder = LegacyRecordBatchBuilder(magic, CODECS[codec], 1 << 30)
    for i, (timestamp, key, value, _) in enumerate(records):
        builder.append(i, timestamp, key, value)
    return bytes(builder.build())


def batches_of(data):
    """[(base or last offset, next offset, magic, bytes)] of the whole batches in the bytes of a fetch."""
    at, found = 0, []
    while at + 17 <= len(data):
        offset, size = struct.unpack_from(">qi", data, at)
        if at + 12 + size > len(data):
            break
        magic = data[at + 16]
        after = offset + 1 + (struct.unpack_from(">i", data, at + 23)[0] if magic == 2 else 0)
        found.append((offset, after, magic, data[at:at + 12 + size]))
        at += 12 + size
    return found


def read_all(wire, topic, partition, committed=False):
    """Every batch from the log start to the hw (or lso): the list of batches and the aborted transactions told."""
    error, hw, lso, start, _, _ = wire.fetch(topic, partition, max(0, wire.offset_at(topic, partition, -2)[2]))
    assert error == 0, (topic, partition, error)
    at, found, told = start, [], set()
    end = lso if committed else hw
    while at < end:
        error, _, _, _, aborted, data = wire.fetch(topic, partition, at, committed)
        assert error == 0, (topic, partition, at, error)
        told.update(aborted)
        got = batches_of(data)
        if not got:
            break
        found += [b for b in got if not found or b[1] > found[-1][1]]
        at = got[-1][1]
    return found, sorted(told)
