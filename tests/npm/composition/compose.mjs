// Composes the subgraphs named as arguments (name=file.graphql) into a supergraph, by Apollo's composition and by The
// Guild's. Prints {"apollo": {...}, "guild": {...}}, each with the supergraph's `sdl` or the `errors` in its way.
import { readFileSync } from "node:fs";
import { composeServices as apollo } from "@apollo/composition";
import { composeServices as guild } from "@theguild/federation-composition";
import { parse } from "graphql";

const services = process.argv.slice(2).map((argument) => {
  const at = argument.indexOf("=");
  const name = argument.slice(0, at);
  return { name, url: `http://${name}.invalid`, typeDefs: parse(readFileSync(argument.slice(at + 1), "utf8")) };
});

function told(composed) {
  const errors = (composed.errors ?? []).map((error) => error.message);
  return { sdl: errors.length ? null : composed.supergraphSdl, errors };
}

console.log(JSON.stringify({ apollo: told(apollo(services)), guild: told(guild(services)) }));
