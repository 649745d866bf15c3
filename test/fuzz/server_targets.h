// Fuzz targets of whole servers in the simulated world. As wire_targets.h.
//
// Input: steps of a control byte, a length of two bytes, and so many bytes. Control: bits 0-1 one of
// four connections; bits 2-3 what is done: the bytes as a frame, as they are, half of a frame and the
// end of the connection, or a frame on a connection that reads no more; bits 6-7 the time that
// passes after it: none, 1 ms, 200 ms, 10 s.
#pragma once

#include "common/base/bytes.h"

namespace ottla::fuzz {

// A broker on an ensemble, with a topic "t" and "u" of two partitions. Afterwards it must answer
// ApiVersions on a new connection, every answer that came must fit its request, and what the servers
// promise about themselves must hold.
void kafka_broker(Bytes input);
// An ensemble server. Afterwards a new session must create a node.
void zk_server(Bytes input);

}  // namespace ottla::fuzz
