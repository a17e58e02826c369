"""The real gcloud, loaded once: a fork of it runs each command.

A start of gcloud takes a second of CPU, nearly all of it to load Python modules.
This process loads them and then waits for clients. A client sends the words of
one command, its environment, its working directory and its three files; a fork
takes them over and goes on as any gcloud does. The client is told its exit status.

gcloud's own wrapper starts this in the place of lib/gcloud.py, whose path is the
first argument. File 3 is the listening socket. It ends with its standard input.
"""
import array
import atexit
import gc
import json
import os
import selectors
import shutil
import signal
import socket
import sys
import threading

program = sys.argv[1]
sys.path.insert(0, os.path.dirname(program))
import gcloud  # also finds gcloud's third-party modules
gcloud._fix_google_module()
gcloud._import_gcloud_main()
gc.freeze()
# What gcloud's wrapper has found out, for every command.
WRAPPED = {name: value for name, value in os.environ.items()
           if name.startswith(('CLOUDSDK_', 'PYTHON')) and name != 'CLOUDSDK_PYTHON_ARGS'}


def receive(client):
  """One command: the client sends all of it and closes its side."""
  text, files = b'', array.array('i')
  while True:
    data, ancillary, _, _ = client.recvmsg(1 << 20, socket.CMSG_SPACE(3 * files.itemsize))
    for _, _, sent in ancillary:
      files.frombytes(sent)
    if not data:
      return json.loads(text), files
    text += data


def take_over(command, files):
  """Makes of this fork the process that the client stands for."""
  signal.set_wakeup_fd(-1)
  signal.signal(signal.SIGCHLD, signal.SIG_DFL)
  os.setpgid(0, command['Group'])  # who kills the client's group kills this, too
  for standard, file in enumerate(files):
    os.dup2(file, standard)
    os.close(file)
  os.chdir(command['Dir'])
  os.environ.clear()
  os.environ.update(WRAPPED)
  os.environ.update(word.split('=', 1) for word in command['Env'])
  sys.argv = [program] + command['Args']


def learn(modules):
  """Loads what a command had to load, so that the next one finds it."""
  for name in modules:
    try:
      __import__(name)
    except Exception:  # one that does not load alone: its user will load it
      pass
  gc.freeze()  # or the first collection of each fork would copy all of them


def reap(clients):
  while clients:
    pid, status = os.waitpid(-1, os.WNOHANG)
    if pid == 0:
      return
    client = clients.pop(pid)
    try:
      client.send(bytes([os.waitstatus_to_exitcode(status) & 0xff]))
    except OSError:  # the client is dead
      pass
    client.close()


def serve():
  """Returns in the forks: the pipe for the names of what they have loaded."""
  listener = socket.socket(fileno=3)
  awake, wake = socket.socketpair()
  wake.setblocking(False)
  signal.signal(signal.SIGCHLD, lambda *_: None)
  signal.set_wakeup_fd(wake.fileno())
  events = selectors.DefaultSelector()
  for source in (sys.stdin, listener, awake):
    events.register(source, selectors.EVENT_READ)
  clients, lessons = {}, {}
  while True:
    for key, _ in events.select():
      source = key.fileobj
      if source is sys.stdin:
        for pid in clients:
          os.kill(pid, signal.SIGKILL)
        shutil.rmtree(os.path.dirname(__file__))
        os._exit(0)
      elif source is awake:
        awake.recv(4096)
        reap(clients)
      elif source is listener:
        client, _ = listener.accept()
        command, files = receive(client)
        lesson, teach = os.pipe()
        pid = os.fork()
        if pid == 0:
          take_over(command, files)
          return teach
        for file in [teach, *files]:
          os.close(file)
        clients[pid] = client
        lessons[lesson] = b''
        events.register(lesson, selectors.EVENT_READ)
      else:
        data = os.read(source, 1 << 16)
        lessons[source] += data
        if not data:
          events.unregister(source)
          os.close(source)
          learn(lessons.pop(source).decode().split())


def main():
  """The status of gcloud's main, as Python makes one of how it ends."""
  try:
    gcloud.main()
  except SystemExit as end:
    if end.code is None or isinstance(end.code, int):
      return end.code or 0
    print(end.code, file=sys.stderr)
  except BaseException:
    sys.excepthook(*sys.exc_info())
  return 1


teach = serve()
known = set(sys.modules)
status = main()
os.write(teach, '\n'.join(name for name in list(sys.modules) if name not in known).encode())
# The end of a Python without its last step, which would touch and so copy all that
# this fork shares.
threading._shutdown()
atexit._run_exitfuncs()
for stream in (sys.stdout, sys.stderr):
  try:
    stream.flush()
  except OSError:  # nobody reads it any more
    pass
os._exit(status & 0xff)
