"""The formats that cross a process or a restart.  One module a format, both directions in it, and they are inverse.

`queue` the event line · `alert` the text record of alerts.log · `alert_json` the line of alerts.json · `execq` the
response queues.  Anything that is not of the format raises that module's RemoteError, nothing else.
"""
