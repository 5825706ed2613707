// Starts GraphiQL on the gateway's page. What it shows first comes from the page's <script id="presets">.

import { explorerPlugin } from "@graphiql/plugin-explorer";
import "@graphiql/plugin-explorer/style.css";
import { createGraphiQLFetcher } from "@graphiql/toolkit";
import { GraphiQL } from "graphiql";
import "graphiql/style.css";
import { createElement } from "react";
import { createRoot } from "react-dom/client";

const presets = JSON.parse(document.getElementById("presets").textContent);

globalThis.MonacoEnvironment = {
  getWorker: (_id, label) => new Worker(presets.workers[label] ?? presets.workers.editor),
};

const url = new URL(location.pathname, location.href);
const subscriptionUrl = new URL(url);
subscriptionUrl.protocol = url.protocol === "https:" ? "wss:" : "ws:";

// The toolkit sends the Headers tab with every request and, for a subscription, as connection_init's payload.
const fetcher = createGraphiQLFetcher({
  url: url.href,
  subscriptionUrl: subscriptionUrl.href,
  enableIncrementalDelivery: false,
});

// Tabs kept from an earlier visit win over the presets. GraphiQL finds the kept tab that was open by its content, and
// takes that from keys of its own which miss what was never edited: so it is told the content.
function openTab() {
  try {
    const kept = JSON.parse(localStorage.getItem("graphiql:tabState"));
    return kept.tabs[kept.activeTabIndex];
  } catch {
    return undefined;
  }
}
const tab = openTab() ?? presets.tabs[0];

createRoot(document.getElementById("graphiql")).render(
  createElement(
    GraphiQL,
    {
      fetcher,
      defaultTabs: presets.tabs,
      initialQuery: tab.query ?? "",
      initialVariables: tab.variables ?? "",
      // Of every tab without headers of its own; a reload takes them from the page anew, for they are stored nowhere.
      defaultHeaders: presets.headers,
      shouldPersistHeaders: false,
      // GraphiQL's history is left out: it would keep headers, and tokens in them, in the browser's storage.
      plugins: [explorerPlugin({ showAttribution: false })],
      defaultEditorToolsVisibility: true,
      inputValueDeprecation: true,
      schemaDescription: true,
    },
    createElement(GraphiQL.Logo, null, "OmniStack Gateway"),
  ),
);
