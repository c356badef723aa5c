"""The alert stream as every output reads it: `logs/alerts/YYYY/Mon/ossec-alerts-DD.log`, day after day.

In: the files that analysisd writes (spec/outputs.md, 2).  Out: `Entry(record, position)` in the order of the files; who
has dealt with an entry saves its position, and a restart goes on behind it: nothing is lost, nothing comes twice.

`records`    bytes → `Record`, tolerant of older and damaged forms (pure)
`position`   how far a reader has come, as one line of text (pure)
`follower`   which file to read, over midnight, rotation, compression and a clock that is set back
`stream`     the follower on a daemon's loop
"""

from ossec.alertstream.follower import Entry, Follower
from ossec.alertstream.position import BadPosition, Position, PositionFile
from ossec.alertstream.records import Record, RecordReader
from ossec.alertstream.stream import AlertStream

__all__ = ["AlertStream", "BadPosition", "Entry", "Follower", "Position", "PositionFile", "Record", "RecordReader"]
