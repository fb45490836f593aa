"""The operating system, and what can go wrong with it; nothing here knows what a federation is.

* :mod:`.early_end`, :mod:`.stop_signals`: signals
* :mod:`.standard_streams`, :mod:`.own_stdout`: standard input, output and error
* :mod:`.full_disk`, :mod:`.malloc`, :mod:`.crash_report`: full disks, memory, crashes in native code
* :mod:`.app_workers`: processes that an app starts
* :mod:`.extras`: packages that may not be installed
"""
