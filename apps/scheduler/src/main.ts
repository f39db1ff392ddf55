console.log("hi");setInterval(()=>{},1000);
