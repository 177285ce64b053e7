# Runs inside a sandbox: tries what the first argument lists (JSON), all at once, and prints what came of each.
# Judges nothing; `network.mjs` writes the list and reads the outcome.
import errno, json, socket, struct, subprocess, sys, threading, time

# Seconds after which silence counts as such, and those that a connection may take.
give_up, patience = float(sys.argv[2]), float(sys.argv[3])


def curl(probe):
    done = subprocess.run(['curl', '-sS', '--connect-timeout', str(patience), '--max-time', '10', '-w', '\n%{http_code}',
                           *probe['arguments'], probe['url']], capture_output=True, text=True, errors='replace')
    body, _, status = done.stdout.rpartition('\n')
    return {'ok': done.returncode == 0, 'exit': done.returncode, 'status': int(status or 0), 'body': body,
            'error': done.stderr}


# Connects, sends `send` (if any), reads until the end, or until something came, or for `wait` seconds.
def tcp(probe):
    started = time.monotonic()
    with socket.socket() as peer:
        peer.settimeout(patience)
        try:
            peer.connect((probe['address'], probe['port']))
        except TimeoutError:
            return {'ok': False, 'connect': 'timeout'}
        except OSError as error:
            return {'ok': False, 'connect': errno.errorcode.get(error.errno, str(error))}
        connected = time.monotonic()
        data, end = b'', 'open'
        try:
            if probe.get('pause'):
                peer.settimeout(probe['pause'])
                try:
                    peer.recv(1, socket.MSG_PEEK)
                    return {'ok': False, 'connect': 'ok', 'end': 'early'}
                except TimeoutError:
                    pass
            if probe.get('send'):
                peer.sendall(probe['send'].encode())
            if probe.get('half'):
                peer.shutdown(socket.SHUT_WR)
            peer.settimeout(probe.get('wait', give_up))
            while probe.get('half') or not data:
                piece = peer.recv(65536)
                if not piece:
                    end = 'eof'
                    break
                data += piece
        except TimeoutError:
            pass
        except ConnectionError:
            end = 'reset'
    return {'ok': bool(data), 'connect': 'ok', 'connectMs': (connected - started) * 1000, 'end': end,
            'text': data.decode(errors='replace'), 'ms': (time.monotonic() - connected) * 1000}


def udp(probe):
    with socket.socket(type=socket.SOCK_DGRAM) as peer:
        peer.settimeout(give_up)
        try:
            peer.sendto(probe['send'].encode(), (probe['address'], probe['port']))
            return {'ok': peer.recv(2000).decode() == probe['send']}
        except TimeoutError:
            return {'ok': False, 'timeout': True}


def dns(probe):
    labels = b''.join(bytes([len(label)]) + label.encode() for label in probe['name'].split('.'))
    query = struct.pack('>6H', 0x5151, 0x0100, 1, 0, 0, 0) + labels + struct.pack('>BHH', 0, 1, 1)
    with socket.socket(type=socket.SOCK_STREAM if probe.get('stream') else socket.SOCK_DGRAM) as peer:
        peer.settimeout(give_up)
        try:
            peer.connect((probe['address'], 53))
            peer.sendall(struct.pack('>H', len(query)) + query if probe.get('stream') else query)
            answer = peer.recv(2000)
        except TimeoutError:
            return {'ok': False, 'timeout': True}
        except ConnectionError:
            answer = b''
    return {'ok': len(answer) > len(query), 'eof': not answer}


def ping(probe):
    done = subprocess.run(['ping', '-c1', '-W', str(give_up), probe['address']], capture_output=True)
    return {'ok': done.returncode == 0, 'timeout': done.returncode == 1}


probes = json.loads(sys.argv[1])
outcomes = [None] * len(probes)


def run(index):
    try:
        outcomes[index] = globals()[probes[index]['kind']](probes[index])
    except Exception as error:
        outcomes[index] = {'ok': False, 'error': repr(error)}


threads = [threading.Thread(target=run, args=(index,)) for index in range(len(probes))]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
print(json.dumps(outcomes))
