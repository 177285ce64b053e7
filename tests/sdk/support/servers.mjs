// Small servers that tests start inside a sandbox. Python, because every template has it.

// Answers every method with a JSON description of the request. Paths: /stream sends one chunk, waits for /tmp/go, sends
// the next; /status/N answers N; anything else echoes.
export const kHttpServer = `
import hashlib, json, os, sys, time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
import socket

class Handler(BaseHTTPRequestHandler):
    protocol_version = 'HTTP/1.1'
    def body(self):
        if self.headers.get('transfer-encoding', '').lower() == 'chunked':
            data = b''
            while True:
                size = int(self.rfile.readline().split(b';')[0], 16)
                piece = self.rfile.read(size)
                self.rfile.readline()
                if size == 0:
                    return data
                data += piece
        return self.rfile.read(int(self.headers.get('content-length', 0)))
    def chunk(self, data):
        self.wfile.write(b'%x\\r\\n%s\\r\\n' % (len(data), data))
        self.wfile.flush()
    def answer(self):
        if self.path == '/late':
            open('/tmp/asked', 'w').close()
            while not os.path.exists('/tmp/go'):
                time.sleep(0.02)
        if self.path == '/stream':
            self.send_response(200)
            self.send_header('Transfer-Encoding', 'chunked')
            self.end_headers()
            self.chunk(b'first\\n')
            while not os.path.exists('/tmp/go'):
                time.sleep(0.02)
            self.chunk(b'second\\n')
            self.wfile.write(b'0\\r\\n\\r\\n')
            return
        body = self.body()
        status = int(self.path.split('/')[2]) if self.path.startswith('/status/') else 200
        text = json.dumps({'method': self.command, 'path': self.path, 'size': len(body),
                           'sha256': hashlib.sha256(body).hexdigest(),
                           'headers': {k.lower(): v for k, v in self.headers.items()}}).encode()
        if status in (204, 304):
            text = b''
        self.send_response(status)
        self.send_header('Content-Type', 'application/json')
        self.send_header('X-From-Sandbox', 'yes')
        if status not in (204, 304):
            self.send_header('Content-Length', str(len(text)))
        self.end_headers()
        if self.command != 'HEAD':
            self.wfile.write(text)
    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = do_OPTIONS = do_HEAD = do_PURGE = answer
    def log_message(self, *args):
        pass

address = sys.argv[1]
class Server(ThreadingHTTPServer):
    address_family = socket.AF_INET6 if ':' in address else socket.AF_INET
    request_queue_size = 128
Server((address, int(sys.argv[2])), Handler).serve_forever()
`

// Accepts any Upgrade. With a Sec-WebSocket-Key: a WebSocket that echoes every message; otherwise raw bytes, echoed.
export const kUpgradeServer = `
import base64, hashlib, socket, struct, sys, threading

def exactly(stream, count):
    data = stream.read(count)
    if len(data) != count:
        raise EOFError
    return data

def serve(connection):
    stream = connection.makefile('rwb')
    headers = {}
    stream.readline()
    while (line := stream.readline().strip()):
        name, _, value = line.decode().partition(':')
        headers[name.lower()] = value.strip()
    key = headers.get('sec-websocket-key')
    answer = 'HTTP/1.1 101 Switching Protocols\\r\\nConnection: Upgrade\\r\\nUpgrade: %s\\r\\n' % headers.get('upgrade', 'raw')
    if key:
        digest = hashlib.sha1((key + '258EAFA5-E914-47DA-95CA-C5AB0DC85B11').encode()).digest()
        answer += 'Sec-WebSocket-Accept: %s\\r\\n' % base64.b64encode(digest).decode()
    stream.write((answer + '\\r\\n').encode())
    stream.flush()
    if not key:
        while (data := connection.recv(65536)):
            connection.sendall(data)
        return
    while True:
        first, second = exactly(stream, 2)
        size = second & 127
        if size == 126:
            size, = struct.unpack('>H', exactly(stream, 2))
        elif size == 127:
            size, = struct.unpack('>Q', exactly(stream, 8))
        mask = exactly(stream, 4)
        data = exactly(stream, size)
        data = bytes(a ^ b for a, b in zip(data, (mask * (size // 4 + 1))[:size]))
        head = bytes([first])
        if size < 126:
            head += bytes([size])
        elif size < 65536:
            head += b'\\x7e' + struct.pack('>H', size)
        else:
            head += b'\\x7f' + struct.pack('>Q', size)
        stream.write(head + data)
        stream.flush()
        if first & 15 == 8:
            return

def guarded(connection):
    try:
        serve(connection)
    except (EOFError, ConnectionError):
        pass
    finally:
        connection.close()

listener = socket.create_server(('127.0.0.1', int(sys.argv[1])))
while True:
    threading.Thread(target=guarded, args=(listener.accept()[0],), daemon=True).start()
`
