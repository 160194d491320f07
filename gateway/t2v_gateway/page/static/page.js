// The page for people. Begin here: the form, the gallery, an opened video, and what changes.

import { startComposer } from "./composer.js";
import { follow as followOpened, open, startDetails } from "./details.js";
import { change, count, load, startGallery } from "./gallery.js";
import { showGlance } from "./glance.js";
import { say } from "./say.js";
import { follow } from "./stream.js";

const offline = document.getElementById("offline");
let missed = 0;

startGallery(open);
startDetails();
startComposer().catch((error) => say(error.message));

follow({
  hello(glance) {
    clearTimeout(missed);
    offline.hidden = true;
    look(glance);
    load();
  },
  videos(news) {
    change(news);
    followOpened(news);
  },
  many: load,
  glance: look,
  lost() {
    clearTimeout(missed);
    missed = setTimeout(() => (offline.hidden = false), 4000);
  },
});

function look(glance) {
  showGlance(glance);
  count(glance.mine);
}
