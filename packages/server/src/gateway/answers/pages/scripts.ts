// The two things that pages do by themselves: wait until the app answers, and take the token of a private sandbox.

import { SIGN_IN_PATH } from '../../access/sign-in-path.ts';
import { TRAFFIC_TOKEN_HEADER } from '../../access/traffic-token.ts';

/** The header by which the gateway's own answers are told from the app's. */
export const ERROR_HEADER = 'Sandport-Error';

export interface PageScript {
  readonly text: string;
  /** Line above the heading. */
  readonly status: string;
  readonly spins: boolean;
  /** What the script works with. */
  readonly markup: string;
  /** What stands in for it where scripts are off; goes into the head. */
  readonly withoutScript: string;
}

/**
 * Asks until something else than the gateway answers, and then loads the page: often at first and while somebody looks,
 * rarely otherwise. What it asks for has no body, and does nothing (RFC 9110, section 9.2.1).
 */
export const waiting: PageScript = {
  status: 'Waiting',
  spins: true,
  markup: '',
  withoutScript: '<noscript><meta http-equiv="refresh" content="3"></noscript>',
  text: `
const begun=Date.now();let timer,asking=false;
async function ask(){
 if(asking)return;asking=true;clearTimeout(timer);
 try{
  const answer=await fetch(location.href,{method:"HEAD",cache:"no-store",redirect:"manual"});
  const error=answer.headers.get("${ERROR_HEADER}");
  if(error!=="port_closed"&&error!=="url_sandbox_transitioning"&&error!=="sandbox_waking"){location.reload();return}
 }catch{}
 asking=false;
 timer=setTimeout(ask,document.hidden?5000:Date.now()-begun<60000?400:2000);
}
document.addEventListener("visibilitychange",()=>{if(!document.hidden)ask()});
timer=setTimeout(ask,400);
`.replace(/\n ?/g, '\n'),
};

/** Sends the token in its header, which no other page can do, and has the gateway set the cookie. */
export const signIn: PageScript = {
  status: 'Private',
  spins: false,
  markup:
    '<form autocomplete="off"><label for="token">Access token</label><div class="row">' +
    '<input id="token" name="token" type="password" required autofocus spellcheck="false" autocapitalize="none" ' +
    'autocomplete="current-password" aria-describedby="note"><button>Open</button></div>' +
    '<p class="note" id="note" role="alert"></p></form>',
  withoutScript: '',
  text: `
const form=document.forms[0],field=form.elements.token,button=form.querySelector("button"),note=document.getElementById("note");
form.addEventListener("submit",async(event)=>{
 event.preventDefault();
 const token=field.value.trim();
 let problem="That is not the token of this sandbox.";
 button.disabled=true;note.textContent="";
 if(/^[\\x21-\\x7e]+$/.test(token)){
  try{
   const answer=await fetch("${SIGN_IN_PATH}",{method:"POST",headers:{"${TRAFFIC_TOKEN_HEADER}":token},cache:"no-store"});
   if(answer.ok){location.reload();return}
   if(answer.status!==403)problem="The sandbox cannot be reached now.";
  }catch{problem="There is no connection. Try again."}
 }
 note.textContent=problem;button.disabled=false;field.setAttribute("aria-invalid","true");field.select();
});
`.replace(/\n ?/g, '\n'),
};
