// A real issuer of tokens: npm oidc-provider over TLS, told by lines on its standard input what to do.
//
//   node oidc_issuer.mjs PORT CERT KEY KEYS_FILE
//
//   publish   a new key is published, and signs nothing yet
//   use       the newest key signs from now on
//   rotate    both at once, as many issuers do it
//
// Each line is answered with one, the name of the key that signs. KEYS_FILE has its keys, so that it may end and
// start again. Tokens are for clients (client_credentials) whose name is the tenant that they claim.

import { createRequire } from 'node:module';
import { generateKeyPairSync } from 'node:crypto';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:https';
import { createInterface } from 'node:readline';
import { pathToFileURL } from 'node:url';

// Its notices go where answers do not.
console.info = console.error;

const [port, cert, key, file] = process.argv.slice(2);
// NODE_PATH is heeded by `require` alone.
const { default: Provider } = await import(pathToFileURL(createRequire(import.meta.url).resolve('oidc-provider')));
const issuer = `https://localhost:${port}`;
const scope = 'traces:write traces:read';

let state = existsSync(file) ? JSON.parse(readFileSync(file)) : { keys: [], signs: null, made: 0 };
let answer;

function make() {
  state.made += 1;
  const jwk = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey.export({ format: 'jwk' });
  state.keys.push({ ...jwk, kid: `key-${state.made}`, use: 'sig', alg: 'ES256' });
}

// The first of its keys signs.
function start() {
  writeFileSync(file, JSON.stringify(state));
  const first = (one) => (one.kid === state.signs ? 0 : 1);
  const provider = new Provider(issuer, {
    jwks: { keys: [...state.keys].sort((a, b) => first(a) - first(b)) },
    clients: ['shop', 'ops'].map((name) => ({
      client_id: name, client_secret: `secret-of-${name}`, grant_types: ['client_credentials'], redirect_uris: [],
      response_types: [], id_token_signed_response_alg: 'ES256',
    })),
    scopes: scope.split(' '),
    features: {
      devInteractions: { enabled: false },
      clientCredentials: { enabled: true },
      resourceIndicators: {
        enabled: true,
        getResourceServerInfo: () => ({
          scope, audience: 'traceweir', accessTokenTTL: 600, accessTokenFormat: 'jwt', jwt: { sign: { alg: 'ES256' } },
        }),
      },
    },
    extraTokenClaims: (_, token) => ({ tenant: token.clientId }),
  });
  answer = provider.callback();
}

const use = () => { state.signs = state.keys.at(-1).kid; };
const does = { publish: make, use, rotate: () => { make(); use(); } };

if (state.keys.length === 0) does.rotate();
start();
createServer({ cert: readFileSync(cert), key: readFileSync(key) }, (request, response) => answer(request, response))
  .listen(Number(port), '127.0.0.1', () => console.log(state.signs));
createInterface({ input: process.stdin }).on('line', (line) => {
  does[line]();
  start();
  console.log(state.signs);
}).on('close', () => process.exit());
