// oidc-provider on a free loopback port, with control routes that a test needs to see and to disturb it.
// Argument: {"clients": [...], "endpoint": "...", "accessTokenSeconds": 3600}. The first line on stdout is
// {"url": "..."}; the process ends when its stdin does. An account is "<name>@<company>".
import { generateKeyPairSync } from 'node:crypto';
import { createServer } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';

import Provider from 'oidc-provider';

const asked = JSON.parse(process.argv[2]);
const switches = { delay_ms: 0, drop_answers: 0, access_token_s: asked.accessTokenSeconds, endpoint: asked.endpoint };
let counters = {};

const server = createServer();
await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
const url = `http://127.0.0.1:${server.address().port}`;

const signing = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey.export({ format: 'jwk' });
const provider = new Provider(url, {
  clients: asked.clients,
  jwks: { keys: [{ ...signing, alg: 'ES256', use: 'sig' }] },
  cookies: { keys: ['loopback tests only'] },
  routes: {
    authorization: '/connect/authorize',
    token: '/connect/token',
    revocation: '/connect/revocation',
    userinfo: '/connect/userinfo',
  },
  features: { clientCredentials: { enabled: true }, revocation: { enabled: true } },
  scopes: ['openid', 'offline_access', 'read:core'],
  claims: { openid: ['sub', 'companyId'] },
  conformIdTokenClaims: false, // companies are named in the id token
  findAccount: (_, id) => ({
    accountId: id,
    claims: () => ({ sub: id, companyId: id.split('@')[1] }),
  }),
  pkce: { required: (_, client) => client.grantTypeAllowed('authorization_code') },
  rotateRefreshToken: true,
  issueRefreshToken: (_, client) => client.grantTypeAllowed('refresh_token'),
  ttl: {
    AccessToken: () => switches.access_token_s,
    ClientCredentials: () => switches.access_token_s,
    AuthorizationCode: 60,
    Grant: 86400,
    IdToken: 3600,
    Interaction: 600,
    RefreshToken: 86400,
    Session: 600,
  },
});

// Around the token route: what was decided is counted first, then the answer may be late or lost.
provider.use(async (ctx, next) => {
  await next();
  if (ctx.oidc?.route !== 'token') return;
  const grantType = ctx.oidc.params?.grant_type ?? 'none';
  const counted = (counters[grantType] ??= { asked: 0, granted: 0 });
  counted.asked += 1;
  if (ctx.status === 200) {
    counted.granted += 1;
    if (switches.endpoint) ctx.body = { ...ctx.body, endpoint: switches.endpoint };
  }
  await sleep(switches.delay_ms);
  if (switches.drop_answers > 0) {
    switches.drop_answers -= 1;
    ctx.respond = false;
    ctx.req.socket.destroy();
  }
});

/** A family as a consent makes it, without the browser. */
async function mint({ client_id: clientId, account }) {
  const client = await provider.Client.find(clientId);
  const grant = new provider.Grant({ accountId: account, clientId });
  const scope = 'openid offline_access read:core';
  grant.addOIDCScope(scope);
  const grantId = await grant.save();
  const common = { accountId: account, client, grantId, gty: 'authorization_code', scope };
  const refresh = new provider.RefreshToken({ ...common, authTime: Math.floor(Date.now() / 1000) });
  const access = new provider.AccessToken(common);
  return { grant_id: grantId, refresh_token: await refresh.save(), access_token: await access.save() };
}

/** Grants end as a whole: by a replayed token or code, by a revocation, or by /revoke here. */
async function revoke({ grant_id: grantId }) {
  for (const model of ['AccessToken', 'RefreshToken', 'AuthorizationCode']) {
    await provider[model].revokeByGrantId(grantId);
  }
  await provider.Grant.adapter.destroy(grantId);
  return {};
}

const control = {
  '/mint': mint,
  '/revoke': revoke,
  '/alive': async ({ grant_id: id }) => ({ alive: (await provider.Grant.find(id)) !== undefined }),
  '/family': async ({ refresh_token: token }) => {
    const found = await provider.RefreshToken.find(token);
    return { grant_id: found?.grantId ?? null, spent: Boolean(found?.consumed) };
  },
  '/switch': (values) => Object.assign(switches, values),
  '/counters': () => counters,
  '/reset': () => (counters = {}),
};

async function controlled(request, response) {
  const chunks = [];
  for await (const chunk of request) chunks.push(chunk);
  const route = control[request.url.slice('/__control'.length)];
  const answer = route ? await route(JSON.parse(Buffer.concat(chunks) || '{}')) : null;
  response.writeHead(route ? 200 : 404, { 'content-type': 'application/json' });
  response.end(JSON.stringify(answer));
}

const idp = provider.callback();
server.on('request', (request, response) => {
  if (!request.url.startsWith('/__control/')) return idp(request, response);
  return controlled(request, response).catch((error) => response.writeHead(500).end(String(error)));
});

process.stdin.on('end', () => process.exit(0)).resume();
process.stdout.write(`${JSON.stringify({ url })}\n`);
