// npm's oidc-provider with one client. Argument: a file of JSON with the port, the client and the
// key. Its people are read anew each time, so that a test can change their groups meanwhile.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";

const require = createRequire(`${process.cwd()}/package.json`);
const { default: Provider } = await import(pathToFileURL(require.resolve("oidc-provider")));
const read = () => JSON.parse(readFileSync(process.argv[2]));
const settings = read();

const provider = new Provider(`http://127.0.0.1:${settings.port}`, {
  clients: [settings.client],
  jwks: { keys: [settings.key] },
  cookies: { keys: ["a-key-of-tests"] },
  claims: {
    email: ["email", "email_verified"],
    profile: ["name", "preferred_username"],
    groups: ["groups"],
  },
  scopes: ["openid", "email", "profile", "groups"],
  pkce: { required: () => true },
  findAccount: (_, id) => ({
    accountId: id,
    claims: () => ({ sub: id, ...read().people[id] }),
  }),
});
provider.listen(settings.port, "127.0.0.1", () => console.log("listening"));
