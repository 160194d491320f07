var myHeaders = new Headers();
myHeaders.append("Content-Type", "application/json");
var raw = JSON.stringify({
"key": "",
"model_id": "model_id",
"prompt": "Girl smiling and sitting on bench, ultra HD video",
"negative_prompt": "Low Quality",
"width": "512",
"height": "512",
"scheduler": "UniPCMultistepScheduler",
"num_inference_steps": "30",
"enhance_prompt": "yes",
"guidance_scale": 7.5,
"strength": 0.7,
"seed": null,
"webhook": null,
"track_id": null
});
var requestOptions = {
method: 'POST',
headers: myHeaders,
body: raw,
redirect: 'follow'
};
fetch("https://stablediffusionapi.com/api/v1/enterprise/text2video", requestOptions)
.then(response => response.text())
.then(result => console.log(result))
.catch(error => console.log('error', error));
