/** Where the page begins. */

import { App } from "./app.js";
import { begin } from "./theme.js";

begin();
await new App().start();
